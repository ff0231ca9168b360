import type { HistogramData } from '../workload/index.ts'
import type { DistributionKey } from './metrics/aggregate.ts'
import type { MissCause, Objectives } from './metrics/objectives.ts'
import type { MeasuredWindow, Saturation, Summary } from './metrics/summary.ts'
import type { EnergyMeter } from './observe/energy.ts'
import type { Environment } from './observe/environment.ts'
import type { ServerSample } from './observe/server-metrics.ts'
import type { TokenSource } from './tokens.ts'

/** How the client itself did. */
export interface ClientFigures {
  readonly threads: number
  readonly sendLagMsP50: number | null
  readonly sendLagMsP99: number | null
  readonly receiveLagMsP50: number | null
  readonly receiveLagMsP99: number | null
  readonly loopDelayMsP50: number | null
  readonly loopDelayMsP99: number | null
  /** Batches of bytes read. */
  readonly reads: number
  /** Requests that met a kept connection closed, and were sent once more over a new one. */
  readonly resent: number
  readonly cpuMs: number
  /** CPU time of the load threads over the run's time: 1 is one core. */
  readonly cpuShare: number
  readonly peakRssBytes: number
}

export interface ClassResult {
  readonly name: string
  readonly objectives: Objectives
  readonly offered: number
  readonly completed: number
  readonly good: number
  /** Misses by cause; an answer that missed two limits counts under both. */
  readonly misses: Readonly<Partial<Record<MissCause, number>>>
  /** good/offered; null where none was offered. */
  readonly attainment: number | null
  /** Wilson's 95 % interval of it. */
  readonly attainmentLow: number
  readonly attainmentHigh: number
  readonly ttftMsP50: number | null
  readonly ttftMsP99: number | null
  readonly tpotMsP50: number | null
  readonly tpotMsP99: number | null
}

export interface TimelinePoint {
  readonly atMs: number
  readonly offeredRps: number
  readonly completedRps: number
  readonly failed: number
  readonly outputTokPerS: number
  readonly concurrency: number
  readonly ttftMsP50: number | null
  readonly ttftMsP99: number | null
  readonly gapMsP99: number | null
}

/** One run, as it is stored. Plain JSON; times in ms since the start of the run. */
export interface RunResult {
  readonly startedAt: string
  /** Time 0 of the run on the client machine's monotonic clock, ms. */
  readonly originMs: number
  readonly seed: number
  readonly summary: Summary
  readonly window: MeasuredWindow
  readonly outcomes: Readonly<Record<string, number>>
  readonly failures: readonly { readonly message: string; readonly count: number }[]
  readonly finishReasons: Readonly<Record<string, number>>
  readonly classes: readonly ClassResult[]
  readonly saturation: Saturation | null
  readonly client: ClientFigures
  readonly serverSamples: readonly ServerSample[]
  readonly energy: readonly EnergyResult[]
  readonly histograms: Readonly<Partial<Record<DistributionKey, HistogramData>>>
  readonly timeline: { readonly widthMs: number; readonly points: readonly TimelinePoint[] }
  /** What makes the figures worthless, in sentences; empty when the run is valid. */
  readonly problems: readonly string[]
  /** What a reader should know. */
  readonly warnings: readonly string[]
  readonly interrupted: boolean
  /** Lags of the client above which the run is invalid, ms. */
  readonly limits: { readonly maxSendLagMs: number; readonly maxReceiveLagMs: number }
}

export interface EnergyResult {
  readonly name: string
  readonly basis: EnergyMeter['basis']
  readonly joules: number | null
  readonly problem: string | undefined
}

/** One search or comparison step, or the only measurement. */
export interface BenchPoint {
  /** `8 users`, `2.5 requests/s`, `A`, `B`. */
  readonly label: string
  /** What was measured, where the points of a result differ in it. */
  readonly endpoint?: { readonly url: string; readonly model: string }
  /** Users, or requests per second: what was varied. */
  readonly load: number
  readonly summary: Summary
  readonly runs: readonly RunResult[]
}

/** Everything that a command measured, and what it takes to repeat it. The file of `--json`. */
export interface BenchResult {
  readonly tool: 'tokenmill bench'
  readonly version: string
  readonly kind: 'run' | 'sweep' | 'goodput' | 'compare'
  readonly command: string
  readonly startedAt: string
  readonly seed: number
  /** What the seed of the texts was changed by: 0 where `--seed` was given, else drawn. */
  readonly textSalt: number
  readonly environment: Environment
  readonly target: { readonly url: string; readonly model: string; readonly api: string; readonly streamed: boolean }
  readonly loadText: string
  readonly loop: 'open' | 'closed' | 'trace'
  readonly lengthsFrom: TokenSource
  /** Share of requests of each class that must meet its objectives. */
  readonly attainmentTarget: number
  readonly summary: Summary
  readonly points: readonly BenchPoint[]
  /** Ratios B/A with 95 % intervals, by key of the summary. */
  readonly ratios?: Readonly<Record<string, { readonly ratio: number; readonly low: number; readonly high: number }>>
  /** True where every class with objectives reached the target at every load, over its repeats together; null without objectives. */
  readonly sloHeld: boolean | null
  readonly valid: boolean
  /** What makes the result as a whole worthless, beside the problems of its runs. */
  readonly problems: readonly string[]
  readonly notes: readonly string[]
}
