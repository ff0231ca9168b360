import type { HistogramData } from '../../workload/index.ts'
import type { LoadPlan } from '../plan.ts'
import type { RequestRecord } from '../metrics/record.ts'
import type { StopMode } from './load-runner.ts'

/** What a worker is started with. */
export interface WorkerStart {
  readonly plan: LoadPlan
  readonly part: number
  readonly parts: number
  /** tokenizer.json to count output tokens with, where the server reports none. */
  readonly tokenizerPath: string | undefined
}

/** Main thread to worker. */
export type WorkerCommand =
  /** Begin: time 0 of the run on the machine's monotonic clock, ms. */
  { readonly kind: 'start'; readonly originMs: number } | { readonly kind: 'stop'; readonly mode: StopMode }

/** Worker to main thread. */
export type WorkerReport =
  /** Loaded, and waiting for the start. */
  | { readonly kind: 'ready' }
  | { readonly kind: 'records'; readonly records: readonly RequestRecord[]; readonly inFlight: number }
  | { readonly kind: 'done'; readonly client: ClientHealth }

/** How well the client itself did, one thread of it. */
export interface ClientHealth {
  readonly receiveLagMs: HistogramData
  readonly loopDelayMs: HistogramData
  /** CPU time of the thread, user and system. */
  readonly cpuMs: number
}
