import { TokenmillError } from '../core/index.ts'
import type { PromptLimit } from './preparation-tasks.ts'

/** Throws `context_length_exceeded` for a prompt that no tokenizer could fit, without asking one. */
export function checkPromptSize(prompt: string, { contextTokens, longestTokenBytes }: PromptLimit): void {
  const maximum = contextTokens * longestTokenBytes
  // A UTF-16 unit has one to three bytes.
  if (3 * prompt.length <= maximum) return
  const bytes = prompt.length > maximum ? prompt.length : Buffer.byteLength(prompt)
  if (bytes <= maximum) return
  throw new TokenmillError(
    'context_length_exceeded',
    `The prompt is ${bytes} bytes long or longer; the context of a sequence is ${contextTokens} tokens of at most ${longestTokenBytes} bytes. ` +
      `Shorten the prompt, or serve with a larger --ctx or fewer --slots.`,
    { limit: 'ctx', maximum, actual: bytes, unit: 'bytes' },
  )
}
