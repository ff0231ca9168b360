import { parseDurationMs, TokenmillError, type Random } from '../core/index.ts'
import { sampleExponential, sampleGamma } from './sampling.ts'

/** How gaps between arrivals vary around their mean. */
export type ArrivalProcess =
  /** Equal gaps. */
  | { readonly kind: 'constant' }
  /** Exponential gaps: independent users. */
  | { readonly kind: 'poisson' }
  /** Gamma gaps of shape `burstiness` k: 1 is Poisson, below it burstier, above it steadier; CV = 1/√k. */
  | { readonly kind: 'gamma'; readonly burstiness: number }

/** A stretch of time in which a level (requests per second, or users) goes linearly from one value to another. */
export interface Stage {
  readonly from: number
  readonly to: number
  /** Infinity: until something else ends the run. */
  readonly durationMs: number
}

/** Reads `10`, `10:60s` or `1..20:60s`. Without a duration the stage has no end of its own. Throws `invalid_request`. */
export function parseStage(text: string): Stage {
  const [levels = '', duration] = text.split(':')
  const [from, to = from] = levels.split('..').map(Number)
  const durationMs = duration === undefined ? Infinity : parseDurationMs(duration)
  const valid =
    from !== undefined && to !== undefined && from >= 0 && to >= 0 && from + to > 0 && Number.isFinite(from + to)
  if (!valid || durationMs === undefined || durationMs <= 0 || (from !== to && durationMs === Infinity)) {
    throw new TokenmillError('invalid_request', `Stage '${text}' is not understood; write 10, 10:60s or 1..20:60s.`)
  }
  return { from, to, durationMs }
}

/** Length of all stages together. */
export function stagesDurationMs(stages: readonly Stage[]): number {
  return stages.reduce((sum, stage) => sum + stage.durationMs, 0)
}

/** The level at a time; 0 after the last stage. */
export function levelAt(stages: readonly Stage[], atMs: number): number {
  let startMs = 0
  for (const { from, to, durationMs } of stages) {
    if (atMs < startMs + durationMs)
      return durationMs === Infinity ? from : from + ((to - from) * (atMs - startMs)) / durationMs
    startMs += durationMs
  }
  return 0
}

/** The first time ≥ `atMs` at which the level is at least `level`; undefined where it never is again. */
export function nextTimeAtLevel(stages: readonly Stage[], level: number, atMs: number): number | undefined {
  let startMs = 0
  for (const { from, to, durationMs } of stages) {
    const endMs = startMs + durationMs
    if (atMs < endMs) {
      const sinceMs = Math.max(0, atMs - startMs)
      const now = durationMs === Infinity ? from : from + ((to - from) * sinceMs) / durationMs
      if (now >= level) return startMs + sinceMs
      if (to >= level && to > from) return startMs + (durationMs * (level - from)) / (to - from)
    }
    startMs = endMs
  }
  return undefined
}

/**
 * Arrival times in ms from 0, without end unless the stages end. Gaps of mean 1 are drawn from the process and
 * summed; the n-th arrival is where the integral of the rate λ(t) reaches the n-th sum, so that a Poisson process
 * stays exactly Poisson under ramps (time change), and equal seeds give equal arrivals at any rate but stretched.
 */
export function* arrivalTimesMs(
  process: ArrivalProcess,
  stages: readonly Stage[],
  random: Random,
): Generator<number, void, undefined> {
  let stageIndex = 0
  let stageStartMs = 0
  /** Expected arrivals still to be passed in this stage, counted from its start. */
  let target = 0
  for (;;) {
    target += drawGap(process, random)
    for (;;) {
      const stage = stages[stageIndex]
      if (stage === undefined) return
      const expected =
        stage.durationMs === Infinity ? Infinity : ((stage.from + stage.to) / 2) * (stage.durationMs / 1000)
      if (target <= expected) {
        yield stageStartMs + timeOfArrivalMs(stage, target)
        break
      }
      target -= expected
      stageStartMs += stage.durationMs
      stageIndex += 1
    }
  }
}

function drawGap(process: ArrivalProcess, random: Random): number {
  if (process.kind === 'constant') return 1
  if (process.kind === 'poisson') return sampleExponential(random)
  return sampleGamma(process.burstiness, random) / process.burstiness
}

/** Solves ∫₀ᵗ λ = target for t, with λ linear: the positive root of slope/2·t² + from·t − target. */
function timeOfArrivalMs(stage: Stage, target: number): number {
  if (stage.durationMs === Infinity || stage.from === stage.to) return (target / stage.from) * 1000
  const slope = (stage.to - stage.from) / (stage.durationMs / 1000)
  const root = Math.sqrt(Math.max(0, stage.from * stage.from + 2 * slope * target))
  return ((2 * target) / (stage.from + root)) * 1000
}
