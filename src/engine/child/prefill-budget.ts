import type { LearnedStepModel } from './step-model.ts'

export interface PrefillSituation {
  /** Sequences that would get their next token from this step. */
  readonly decoding: number
  /** Those of them that had told a few words before the prompt that is next arrived. */
  readonly established: number
  /** Sequences and requests that wait for their prompt to be computed. */
  readonly waiting: number
  /** Undefined: 1.75 times the time of a step without prefill, at least `leastTargetMs`. */
  readonly targetMs: number | undefined
  readonly longestStepMs: number
}

/**
 * How many prompt tokens may the next step compute?
 *
 * Each one delays the `decoding` streams and brings the `waiting` requests forward. Small chunks waste a pass over the
 * weights, large ones stall the streams. So the step aims at `targetMs`, stretched by waiting/decoding where more
 * requests wait than stream: one stream does not hold up fifteen prompts. Streams that are not established came with the
 * prompt and were merely computed first: they wait for it, or a burst of requests would take twice as long in all. Where
 * nothing streams, only `longestStepMs` binds, within which a cancellation must take effect.
 */
export function prefillBudget(model: LearnedStepModel, situation: PrefillSituation): number {
  const { decoding, established, waiting, longestStepMs } = situation
  if (decoding === 0) return Math.max(leastChunkTokens, model.prefillWithin(longestStepMs, 0))
  if (established === 0)
    return Math.max(leastChunkTokens, model.prefillWithin(Math.min(burstStepMs, longestStepMs), decoding))
  const targetMs =
    situation.targetMs ??
    Math.max(leastTargetMs, targetSteps * model.stepMs({ decodeSequences: decoding, prefillTokens: 0 }))
  const stretchedMs = Math.min(longestStepMs, targetMs * Math.max(1, waiting / established))
  return Math.max(leastChunkTokens, model.prefillWithin(stretchedMs, decoding))
}

/** Steps of a burst: long enough to fill a pass over the weights, short enough that first tokens come one after the other. */
const burstStepMs = 300
/** A step's time varies by some ten percent: with that, mixed steps stay about within twice a calm one. */
const targetSteps = 1.75
/** A gap of 20 ms is 50 tokens a second: several times faster than people read. */
const leastTargetMs = 20
/** Prompts advance even where a step is already over its target; fewer tokens than this cost nearly as much time. */
export const leastChunkTokens = 8
