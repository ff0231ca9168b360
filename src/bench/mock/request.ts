import { z } from 'zod'
import { TokenmillError } from '../../core/index.ts'
import { renderChat } from './prompt-tokens.ts'
import type { MockRequest } from './wire.ts'

/** The fields of OpenAI's bodies that change what the mock does; others are ignored, as clients expect. */
const shared = {
  model: z.string(),
  stream: z.boolean().nullish(),
  stream_options: z
    .object({ include_usage: z.boolean().nullish(), continuous_usage_stats: z.boolean().nullish() })
    .nullish(),
  max_tokens: z.int().positive().nullish(),
  max_completion_tokens: z.int().positive().nullish(),
  ignore_eos: z.boolean().nullish(),
  n: z.literal(1, { error: 'must be 1: the mock gives one answer' }).nullish(),
}
const chatBody = z.object({ ...shared, messages: z.array(z.unknown()).min(1) })
const completionBody = z.object({ ...shared, prompt: z.union([z.string(), z.array(z.union([z.string(), z.int()]))]) })

/** The request in the mock's terms. Throws `invalid_request` with the field's path in `param`. */
export function parseMockRequest(kind: MockRequest['kind'], body: unknown): MockRequest {
  const parsed = (kind === 'chat' ? chatBody : completionBody).safeParse(body)
  if (!parsed.success) {
    const issue = parsed.error.issues[0]
    const param = issue?.path.join('.') ?? ''
    throw new TokenmillError('invalid_request', `'${param}': ${issue?.message ?? 'invalid'}.`, { param })
  }
  const fields = parsed.data
  return {
    kind,
    model: fields.model,
    prompt: 'messages' in fields ? renderChat(fields.messages) : promptText(fields.prompt),
    stream: fields.stream ?? false,
    includeUsage: fields.stream_options?.include_usage ?? false,
    continuousUsage: fields.stream_options?.continuous_usage_stats ?? false,
    maxTokens: fields.max_completion_tokens ?? fields.max_tokens ?? undefined,
    ignoreEos: fields.ignore_eos ?? false,
  }
}

/** Token ids count as one token each; several prompts are not told apart. */
function promptText(prompt: string | readonly (string | number)[]): string {
  return typeof prompt === 'string' ? prompt : prompt.map(String).join(' ')
}
