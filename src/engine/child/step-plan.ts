import { leastChunkTokens, prefillBudget } from './prefill-budget.ts'
import type { Sequence } from './sequence.ts'
import type { LearnedStepModel } from './step-model.ts'

/** One pass over the weights: at most so many tokens of each of its sequences, in the order of their streams. All are of one adapter. */
export interface Pass {
  readonly sequences: readonly Sequence[]
  readonly chunk: number
  readonly adapter: number
}

/** What a plan is made of. */
export interface PlanSituation {
  /** Sequences with a place and their prefix in it: each has at least one token to compute. */
  readonly started: readonly Sequence[]
  /** Sequences that wait for a place, or for another one to compute their prefix. */
  readonly waiting: number
  /** Of the last pass: the step begins with it, for a change makes libllama plan its graph anew. */
  readonly adapter: number
  /** Most tokens of one pass. */
  readonly batchTokens: number
  /** See options.ts. Undefined: 1.75 times the time of a step without prefill. */
  readonly stepTargetMs: number | undefined
  readonly longestStepMs: number
}

/**
 * How many tokens of each sequence does the next step compute? In passes over the weights: one for all that wait for a
 * single token (of each adapter), then one for each prompt while the budget lasts. In one batch libllama would cut them
 * into pieces of equal length itself, and odd pieces are slow: 16 streams and 16 prompt tokens take 1.8 to 2.2 times the
 * streams alone, in two passes 1.5 to 2.05 times.
 */
export function planStep(model: LearnedStepModel, situation: PlanSituation): Pass[] {
  const { started, adapter, batchTokens } = situation
  const prompts = started.filter(({ remaining }) => remaining > 1).sort((one, other) => one.arrival - other.arrival)
  const decoding = started.filter((sequence) => sequence.remaining === 1)
  const passes = decodingPasses(decoding, prompts, adapter)
  let budget = budgetOf(model, situation, decoding, prompts[0])
  for (const sequence of prompts) {
    const most = Math.min(budget, longestChunk(sequence), batchTokens)
    if (most < leastChunkTokens) break
    // Rows are multiplied sixteen at a time: a few more cost as much as sixteen.
    const chunk = sequence.remaining <= most ? sequence.remaining : most - (most % leastChunkTokens)
    passes.push({ sequences: [sequence], chunk, adapter: sequence.adapter })
    budget -= chunk
  }
  return passes
}

function decodingPasses(decoding: readonly Sequence[], prompts: readonly Sequence[], adapter: number): Pass[] {
  const groups = Map.groupBy(decoding, (sequence) => sequence.adapter)
  const current = groups.get(adapter)
  const order = current === undefined ? [...groups] : new Map([[adapter, current], ...groups])
  return Array.from(order, ([adapter, group]) => {
    const streams = group.map((sequence) => sequence.stream)
    const [first, last] = [Math.min(...streams), Math.max(...streams)]
    // A prompt whose stream lies between theirs joins them with one token: a gap would cost a pass of its own.
    const between = prompts.filter((each) => each.adapter === adapter && each.stream > first && each.stream < last)
    const sequences = [...group, ...between].sort((one, other) => one.stream - other.stream)
    return { sequences, chunk: 1, adapter }
  })
}

/** Prefill tokens for this step: what the target leaves. */
function budgetOf(
  model: LearnedStepModel,
  { started, waiting, stepTargetMs, longestStepMs }: PlanSituation,
  streams: readonly Sequence[],
  next: Sequence | undefined,
): number {
  const decoding = streams.length
  // One that was preempted came first, but the others stream since: it does not hold them up for having been there.
  const arrival = next === undefined || next.generated > 0 ? Infinity : next.arrival
  const established = streams.filter(({ arrivalsWhenEstablished }) => arrivalsWhenEstablished < arrival).length
  const prompts = waiting + started.length - decoding
  return prefillBudget(model, { decoding, established, waiting: prompts, targetMs: stepTargetMs, longestStepMs })
}

/** A row of logits per prompt token is wanted: few at a time, for they are vocabulary × 4 bytes each. */
function longestChunk(sequence: Sequence): number {
  return sequence.needsAllLogits ? 64 : Infinity
}
