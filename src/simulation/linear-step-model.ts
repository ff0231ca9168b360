import type { StepModel } from '../inference/index.ts'

/** Times of an engine with continuous batching; what is left out costs nothing. */
export interface LinearStepTimes {
  /** A step with nothing in it: reading the weights, launching kernels. Above 0. */
  readonly baseMs: number
  /** Added for each sequence that decodes. */
  readonly perSequenceMs?: number
  /** Added for each prompt token computed. */
  readonly perPrefillTokenMs?: number
  /** Added for each thousand tokens that the decoding sequences attend over: reading the KV cache. */
  readonly perThousandContextMs?: number
  /** Added for each million pairs of tokens that prefill attends over: what makes long prompts dearer by the token. */
  readonly perMillionPairsMs?: number
  /** Power of all GPUs while a step runs; undefined: not known. */
  readonly watts?: number
}

/**
 *   ms = base + perSequence · decoding + perThousandContext · context/1000 + perPrefillToken · prefill + perMillionPairs · pairs/10⁶
 *
 * Fits measured vLLM, SGLang and TensorRT-LLM within 1 to 4 % over one deployment's batch sizes.
 */
export function linearStepModel(times: LinearStepTimes): StepModel {
  const { baseMs, perSequenceMs = 0, perPrefillTokenMs = 0, perThousandContextMs = 0, perMillionPairsMs = 0 } = times
  if (!(baseMs > 0)) throw new RangeError(`baseMs is ${baseMs}; it must be above 0, or the simulation stands still.`)
  const stepMs: StepModel['stepMs'] = ({ decodeSequences, contextTokens, prefillTokens, prefillPairs }) =>
    baseMs +
    perSequenceMs * decodeSequences +
    perPrefillTokenMs * prefillTokens +
    (perThousandContextMs * contextTokens) / 1e3 +
    (perMillionPairsMs * prefillPairs) / 1e6
  const { watts } = times
  return watts === undefined ? { stepMs } : { stepMs, stepJoules: (batch) => (watts * stepMs(batch)) / 1000 }
}
