import type { RunAggregate } from './metrics/aggregate.ts'
import type { MeasuredWindow, Saturation, Summary } from './metrics/summary.ts'
import type { ServerSample } from './observe/server-metrics.ts'
import type { LoadPlan } from './plan.ts'
import type { ClientFigures, EnergyResult } from './result.ts'

/** Beyond these the client, not the server, was measured: the run is invalid. */
export interface ClientLimits {
  readonly maxSendLagMs: number
  readonly maxReceiveLagMs: number
  /** So many requests in a row without a single success end the run. */
  readonly maxFailuresInRow: number
}

/** What a run leaves behind when it ends. */
export interface RunParts {
  readonly plan: LoadPlan
  readonly startedAt: string
  readonly originMs: number
  readonly aggregate: RunAggregate
  readonly whole: RunAggregate
  readonly summary: Summary
  readonly window: MeasuredWindow
  readonly saturation: Saturation | undefined
  readonly client: ClientFigures
  readonly limits: ClientLimits
  readonly serverSamples: readonly ServerSample[]
  readonly serverProblem: string | undefined
  readonly energy: readonly EnergyResult[]
  readonly interrupted: boolean
  readonly givenUp: string | undefined
}
