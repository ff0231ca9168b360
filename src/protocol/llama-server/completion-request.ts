import type { GenerationInput } from '../../inference/index.ts'
import { invalid, wrongType, type Fields } from '../fields.ts'
import type { GenerationCall } from '../generation-call.ts'
import type { ProtocolLimits } from '../limits.ts'
import { readConstraint } from '../openai/constraint.ts'
import { readSharedParameters } from '../openai/sampling.ts'
import { readTokens } from '../openai/token-ids.ts'
import { NativeCompletionWriter } from './completion-writer.ts'

/** What llama-server samples with where a request does not say. */
const defaults = { temperature: 0.8, top_k: 40, top_p: 0.95, min_p: 0.05 } as const

/** Reads the body of POST /completion. One prompt, one answer. Throws `invalid_request`, `unsupported`, `limit_exceeded`. */
export function parseNativeCompletion(body: Fields, limits: ProtocolLimits): GenerationCall {
  if ((body.integer('n_probs', 0) ?? 0) > 0) body.refuse('n_probs', 'use logprobs in /v1/completions.')
  const shared = readSharedParameters(body, limits)
  if (shared.n !== 1) body.refuse('n', 'use n in /v1/completions.')
  const stream = body.boolean('stream') ?? false
  const { sampling } = shared
  const draft = {
    ...shared,
    sampling: {
      ...sampling,
      temperature: body.has('temperature') ? sampling.temperature : defaults.temperature,
      topK: body.has('top_k') ? sampling.topK : defaults.top_k,
      topP: body.has('top_p') ? sampling.topP : defaults.top_p,
      minP: body.has('min_p') ? sampling.minP : defaults.min_p,
    },
    input: readPrompt(body),
    maxTokens: readMaxTokens(body),
    logprobs: undefined,
    promptLogprobs: undefined,
    constraint: readConstraint(body, limits),
  }
  return {
    model: body.string('model'),
    stream,
    drafts: [draft],
    echo: false,
    encoder: ({ model }) => new NativeCompletionWriter(model, stream),
  }
}

function readPrompt(body: Fields): GenerationInput {
  const raw = body.raw('prompt')
  if (raw === undefined) throw invalid('prompt', 'is missing; it must be a string or an array of token ids.')
  if (typeof raw === 'string') return { kind: 'text', text: raw }
  if (!Array.isArray(raw)) throw wrongType('prompt', raw, 'a string or an array of token ids')
  return { kind: 'tokens', tokens: readTokens(raw, 'prompt') }
}

/** −1 is as many as the context has room for. */
function readMaxTokens(body: Fields): number | undefined {
  const asked = body.integer('n_predict', -1) ?? body.integer('max_tokens', -1) ?? -1
  if (asked === 0) throw invalid('n_predict', 'is 0; it must be -1 or at least 1.')
  return asked < 0 ? undefined : asked
}
