import { z } from 'zod'
import { defineOptions, type OptionValues } from '../core/index.ts'

/** A path, or a hub's reference, which has colons of its own; behind the last one maybe a factor. */
function parseAdapter(text: string): { readonly path: string; readonly scale: number } {
  const [, path = text, scale] = /^(.+?)(?::(-?\d+(?:\.\d+)?))?$/.exec(text) ?? []
  return { path, scale: Number(scale ?? 1) }
}

/** Settings of the commands that speak with a model in the terminal. */
export const localModelOptions = defineOptions({
  model: {
    schema: z.string().min(1),
    default: '',
    value: '<model>',
    help: 'GGUF file, or hf:owner/repository (default: the bundled nano model)',
  },
  lora: {
    schema: z.string().min(1).transform(parseAdapter).optional(),
    value: '<path[:scale]>',
    help: 'LoRA adapter (GGUF) of the model to answer with',
  },
  system: { schema: z.string(), default: '', value: '<text>', help: 'System message' },
  maxTokens: {
    schema: z.coerce.number().int().positive(),
    default: 1024,
    value: '<tokens>',
    unit: 'tokens',
    help: 'Most tokens of an answer',
    reason: 'an answer that goes on and on ends before patience does',
  },
  temperature: {
    schema: z.coerce.number().min(0).max(2),
    default: 0.7,
    value: '<number>',
    help: '0 gives the likeliest answer',
  },
  seed: {
    schema: z.coerce.number().int().min(0),
    value: '<number>',
    help: 'Equal seeds give equal answers (default: chance)',
  },
})
export type LocalModelValues = OptionValues<typeof localModelOptions>
