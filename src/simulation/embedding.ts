import { createRandom } from '../core/index.ts'
import type { EmbeddingRequest, GenerationInput, GenerationRequest } from '../inference/index.ts'
import { sampleNormal } from '../workload/index.ts'
import { hashTokens } from './token-hash.ts'

/** A unit vector that depends on the tokens alone. */
export function toVector(tokens: readonly number[], dimensions: number): Float32Array {
  const random = createRandom(hashTokens((index) => tokens[index] ?? 0, 0, tokens.length, 0) >>> 0)
  const vector = Float32Array.from({ length: dimensions }, () => sampleNormal(random))
  const norm = Math.hypot(...vector)
  return vector.map((value) => value / norm)
}

export function toInput(input: EmbeddingRequest['inputs'][number]): GenerationInput {
  if (typeof input === 'string') return { kind: 'text', text: input }
  const tokens = input.filter((part) => typeof part === 'number')
  return tokens.length === input.length ? { kind: 'tokens', tokens } : { kind: 'text', text: input.join(' ') }
}

/** One pass over the inputs, as a generation of one token: what the scheduler understands. */
export function passOf({ id, model }: EmbeddingRequest): GenerationRequest {
  return {
    id,
    model,
    input: { kind: 'text', text: '' },
    n: 1,
    maxTokens: 1,
    stop: [],
    ignoreEos: true,
    sampling: {
      temperature: 0,
      topP: 1,
      topK: 0,
      minP: 0,
      presencePenalty: 0,
      frequencyPenalty: 0,
      repetitionPenalty: 1,
      logitBias: new Map(),
      seed: undefined,
    },
    logprobs: undefined,
    promptLogprobs: undefined,
    constraint: undefined,
    deadlineMs: undefined,
    affinityKey: undefined,
  }
}
