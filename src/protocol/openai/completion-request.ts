import type { GenerationInput } from '../../inference/index.ts'
import { checkLength, invalid, wrongType, type Fields } from '../fields.ts'
import type { GenerationCall } from '../generation-call.ts'
import type { ProtocolLimits } from '../limits.ts'
import { CompletionAnswerEncoder } from './completion-answer.ts'
import { CompletionStreamEncoder } from './completion-stream.ts'
import { readConstraint } from './constraint.ts'
import { checkMinTokens, readSharedParameters } from './sampling.ts'
import { readStreamOptions, type StreamManner } from './stream-options.ts'
import { readTokens } from './token-ids.ts'

/** How an answer to /v1/completions is written. */
export interface CompletionManner extends StreamManner {
  /** Choices that each prompt is answered with. */
  readonly choices: number
  readonly echo: boolean
  /** The client asked for logprobs: best_of needs them too, and then they are not shown. */
  readonly showLogprobs: boolean
}

/**
 * OpenAI's default for max_tokens in /v1/completions; chat has none. Scripts rely on it: without a template a
 * model seldom ends of itself.
 */
const defaultMaxTokens = 16

/** Reads the body of POST /v1/completions. Throws `invalid_request`, `unsupported`, `limit_exceeded`. */
export function parseCompletionCall(body: Fields, limits: ProtocolLimits): GenerationCall {
  if ((body.string('suffix') ?? '') !== '') body.refuse('suffix', 'no model here fills in the middle.')
  const stream = readStreamOptions(body)
  const shared = readSharedParameters(body, limits)
  const echo = body.boolean('echo') ?? false
  const logprobs = readLogprobs(body)
  const candidates = readBestOf(body, shared.n, stream.stream, limits)
  const asked = body.integer('max_tokens', 0)
  checkMinTokens(shared.minTokens, asked)
  const draft = {
    ...shared,
    n: candidates,
    maxTokens: asked ?? Math.max(defaultMaxTokens, shared.minTokens ?? 0),
    logprobs: logprobs ?? (candidates > shared.n ? 0 : undefined),
    promptLogprobs: echo ? logprobs : undefined,
    constraint: readConstraint(body, limits),
  }
  const manner = { choices: shared.n, echo, showLogprobs: logprobs !== undefined, ...stream }
  const inputs = readPrompts(body, limits)
  return {
    model: body.string('model'),
    stream: stream.stream,
    drafts: inputs.map((input) => ({ ...draft, input })),
    echo,
    encoder: (identity) =>
      stream.stream
        ? new CompletionStreamEncoder(identity, manner, inputs.length)
        : new CompletionAnswerEncoder(identity, manner, inputs.length),
  }
}

/** A string, strings, token ids, or lists of token ids. */
function readPrompts(body: Fields, limits: ProtocolLimits): GenerationInput[] {
  const raw = body.raw('prompt')
  if (raw === undefined) {
    throw invalid('prompt', 'is missing; it must be a string, an array of strings, or token ids.')
  }
  if (typeof raw === 'string') return [{ kind: 'text', text: raw }]
  const entries = body.requiredArray('prompt')
  if (entries.length === 0) throw invalid('prompt', 'is empty; it must hold at least one prompt or token.')
  if (typeof entries[0] === 'number') return [{ kind: 'tokens', tokens: readTokens(entries, 'prompt') }]
  checkLength(entries.length, 'prompt', { name: 'maxPrompts', maximum: limits.maxPrompts, unit: 'prompts' })
  return entries.map((entry, index): GenerationInput => {
    const path = `prompt[${index}]`
    if (typeof entry === 'string') return { kind: 'text', text: entry }
    if (!Array.isArray(entry)) throw wrongType(path, entry, 'a string or an array of token ids')
    if (entry.length === 0) throw invalid(path, 'is empty; it must hold at least one token.')
    return { kind: 'tokens', tokens: readTokens(entry, path) }
  })
}

/** An integer here, where chat has a flag and a number. false and 0 differ: 0 gives the chosen token's own. */
function readLogprobs(body: Fields): number | undefined {
  return body.integer('logprobs', 0, 20)
}

function readBestOf(body: Fields, n: number, stream: boolean, limits: ProtocolLimits): number {
  const bestOf = body.integer('best_of', 1, limits.maxChoices) ?? n
  if (bestOf < n) throw invalid('best_of', `is ${bestOf}, but n is ${n}; it must be at least n.`)
  if (bestOf > n && stream) {
    throw invalid('best_of', `is ${bestOf} with stream; the best is known only at the end. Set stream to false.`)
  }
  return bestOf
}
