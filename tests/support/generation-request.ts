import type { GenerationRequest } from '../../src/inference/index.ts'

/** A short text to continue, and `changes`. */
export function createRequest(changes: Partial<GenerationRequest>): GenerationRequest {
  return {
    id: 'request',
    model: '',
    input: { kind: 'text', text: 'Once upon a time there was a mill' },
    n: 1,
    maxTokens: 16,
    stop: [],
    ignoreEos: false,
    sampling: sampling({}),
    logprobs: undefined,
    promptLogprobs: undefined,
    constraint: undefined,
    deadlineMs: undefined,
    affinityKey: undefined,
    ...changes,
  }
}

/** Greedy, unless changed. */
export function sampling(changes: Partial<GenerationRequest['sampling']>): GenerationRequest['sampling'] {
  return {
    temperature: 0,
    topP: 1,
    topK: 0,
    minP: 0,
    presencePenalty: 0,
    frequencyPenalty: 0,
    repetitionPenalty: 1,
    logitBias: new Map(),
    seed: 1,
    ...changes,
  }
}
