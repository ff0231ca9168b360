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
  | { readonly kind: 'records'; readonly batch: RecordBatch; readonly inFlight: number }
  | { readonly kind: 'done'; readonly client: ClientHealth }

/** How well the client itself did, one thread of it. */
export interface ClientHealth {
  readonly receiveLagMs: HistogramData
  readonly loopDelayMs: HistogramData
  /** Requests sent again over a new connection. */
  readonly resent: number
  /** CPU time of the thread, user and system. */
  readonly cpuMs: number
}

/**
 * Finished requests on their way to the main thread, their times in one array that changes hands: an array of its own
 * for each would leave thousands of small pieces of memory between two collections.
 */
export interface RecordBatch {
  /** Without their times, and with how many there are of each. */
  readonly records: readonly (Omit<RequestRecord, 'chunksMs'> & { readonly chunks: number })[]
  /** Arrivals of all records' chunks, one record's after the other's. */
  readonly chunksMs: Float64Array<ArrayBuffer>
}

export function packRecords(records: readonly RequestRecord[]): RecordBatch {
  const chunksMs = new Float64Array(records.reduce((sum, record) => sum + record.chunksMs.length, 0))
  let at = 0
  const packed = records.map(({ chunksMs: times, ...record }) => {
    chunksMs.set(times, at)
    at += times.length
    return Object.assign(record, { chunks: times.length })
  })
  return { records: packed, chunksMs }
}

/** The records again; their times are views of the batch's. */
export function unpackRecords({ records, chunksMs }: RecordBatch): RequestRecord[] {
  let at = 0
  return records.map(({ chunks, ...record }) => {
    at += chunks
    return Object.assign(record, { chunksMs: chunksMs.subarray(at - chunks, at) })
  })
}
