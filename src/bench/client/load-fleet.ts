import { Worker } from 'node:worker_threads'
import { TokenmillError } from '../../core/index.ts'
import type { RequestRecord } from '../metrics/record.ts'
import type { LoadPlan } from '../plan.ts'
import type { StopMode } from './load-runner.ts'
import {
  unpackRecords,
  type ClientHealth,
  type WorkerCommand,
  type WorkerReport,
  type WorkerStart,
} from './worker-messages.ts'

/** Between the start command and time 0: every thread has read it by then. */
const headStartMs = 20

export interface LoadFleetOptions {
  readonly plan: LoadPlan
  /** Load threads. */
  readonly workers: number
  /** Machine clock, ms. */
  readonly nowMs: () => number
  readonly tokenizerPath: string | undefined
  readonly onRecord: (record: RequestRecord) => void
  /** Requests that run now, after each report. */
  readonly onProgress: (inFlight: number) => void
}

export interface LoadFleet {
  /** Machine clock when time 0 of the records was, ms. */
  readonly originMs: number
  /** Resolves when all threads are done, to their health; rejects when one of them crashed. */
  readonly done: Promise<readonly ClientHealth[]>
  stop(mode: StopMode): void
}

/**
 * Offers a plan's load from threads of its own, so that neither the terminal nor the statistics delay the
 * reading of streams. Each thread owns its connections; records come here in batches. Time begins when all
 * threads are loaded. Throws `internal` where a thread cannot start.
 */
export async function startLoad(options: LoadFleetOptions): Promise<LoadFleet> {
  const inFlight = Array.from({ length: options.workers }, () => 0)
  const workers: Worker[] = []
  const ready: Promise<void>[] = []
  const finished = Array.from({ length: options.workers }, (_, part) => {
    const { plan, tokenizerPath, workers: parts } = options
    const start: WorkerStart = { plan, part, parts, tokenizerPath }
    const worker = new Worker(workerFile(), { workerData: start })
    workers.push(worker)
    let announceReady: () => void = () => {}
    ready.push(
      new Promise((resolve) => {
        announceReady = resolve
      }),
    )
    return new Promise<ClientHealth>((resolve, reject) => {
      worker.on('message', (report: WorkerReport) => {
        if (report.kind === 'ready') announceReady()
        else if (report.kind === 'done') resolve(report.client)
        else {
          for (const record of unpackRecords(report.batch)) options.onRecord(record)
          inFlight[part] = report.inFlight
          options.onProgress(inFlight.reduce((sum, each) => sum + each, 0))
        }
      })
      worker.on('error', (error) =>
        reject(new TokenmillError('internal', `A load thread failed: ${String(error)}`, {}, error)),
      )
      worker.on('exit', (code) => {
        if (code !== 0) reject(new TokenmillError('internal', `A load thread ended with exit code ${code}.`))
      })
    })
  })
  const command = (message: WorkerCommand): void => {
    // A thread's port, not a window's: there is no origin to name.
    // oxlint-disable-next-line unicorn/require-post-message-target-origin
    for (const worker of workers) worker.postMessage(message)
  }
  const done = collect(finished, workers)
  await Promise.race([Promise.all(ready), done])
  const originMs = options.nowMs() + headStartMs
  command({ kind: 'start', originMs })
  return { originMs, done, stop: (mode) => command({ kind: 'stop', mode }) }
}

/** Waits for all threads; then, or when one has crashed, ends them all. */
async function collect(
  finished: readonly Promise<ClientHealth>[],
  workers: readonly Worker[],
): Promise<ClientHealth[]> {
  try {
    return await Promise.all(finished)
  } finally {
    await Promise.all(workers.map((worker) => worker.terminate()))
  }
}

/** The worker's file beside this one: TypeScript in the repository, JavaScript in the package. */
function workerFile(): URL {
  const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js'
  return new URL(`./worker.${extension}`, import.meta.url)
}
