import type { BenchOptions } from '../options.ts'
import type { Summary } from '../metrics/summary.ts'
import type { LoadShape } from '../plan.ts'
import type { PointRunner } from '../point-runner.ts'
import type { Probe } from '../probe.ts'
import { allObjectivesHeld } from '../pooled-runs.ts'
import type { BenchPoint, BenchResult, RunResult } from '../result.ts'

/**
 * One way to vary the load: which points are measured, in which order, and what follows from them. Planned from the
 * options alone, so that a wrong option is found before the first request. Throws `invalid_request` for one.
 */
export type PlanSearch = (options: BenchOptions) => Search

export interface Search {
  readonly kind: BenchResult['kind']
  readonly loop: BenchResult['loop']
  /** The load of a point, for the report's words; a search over loads says the rest in `loadText`. */
  readonly shape: LoadShape
  /** What the report says in place of the shape's levels. */
  readonly loadText?: string
  /** Measures every point, one probed endpoint for each URL given. A stop by the user ends it with those measured. */
  measure(endpoints: Endpoints, runner: PointRunner): Promise<BenchPoint[]>
  conclude(points: readonly BenchPoint[]): Conclusion
}

/** The endpoints under test: a comparison has two, every other search one. */
export interface Endpoints {
  readonly first: Probe
  readonly second: Probe | undefined
}

/** What the points of a search say together. */
export interface Conclusion {
  /** The figures that stand for the whole result. */
  readonly summary: Summary
  /** Runs by which validity and objectives are judged. */
  readonly judged: readonly RunResult[]
  readonly sloHeld: boolean | null
  /** What makes the whole worthless, beside the problems of its runs. */
  readonly problems?: readonly string[]
  readonly ratios?: NonNullable<BenchResult['ratios']>
}

/** Every run counts, and the last point's figures stand for the result. */
export function concludeFromAll(points: readonly BenchPoint[], attainmentTarget: number): Conclusion {
  const judged = points.flatMap((point) => point.runs)
  return { summary: points.at(-1)?.summary ?? {}, judged, sloHeld: allObjectivesHeld(points, attainmentTarget) }
}
