import { Worker, type WorkerOptions } from 'node:worker_threads'
import { limitError, onAbort, TokenmillError, type Clock, type ErrorCode, type ErrorDetails } from '../core/index.ts'

/** What bounds the work of one thread. */
export interface WorkLimits {
  /** Longest that one task may take; undefined: without end. */
  readonly maxMs: number | undefined
  /** Heap of the thread; undefined: Node's own limit. */
  readonly maxBytes: number | undefined
  /** Tasks that may wait or run. */
  readonly maxTasks: number
}

/** How a thread answers a task: see answer-tasks.ts. */
export type TaskAnswer<Result> =
  /** Its modules are loaded: told once, before any answer. */
  | { readonly ready: true }
  | { readonly value: Result }
  | { readonly fault: { readonly code: ErrorCode; readonly message: string; readonly details: ErrorDetails } }

/**
 * Work that would hold up this thread's event loop, done by a thread of its own, one task after the other:
 *
 *   run(task) ─▶ [ waiting … ] ─▶ thread ─▶ the promise of `run`
 *
 * The thread starts with its first task. One that passes a limit is ended with the task it was doing; the next task
 * starts another. Owns the thread until `close`.
 */
export class WorkThread<Task, Result> {
  readonly #file: URL
  readonly #data: unknown
  readonly #limits: WorkLimits
  readonly #clock: Clock
  readonly #waiting: Entry<Task, Result>[] = []
  #current: Entry<Task, Result> | undefined
  #worker: Worker | undefined
  /** A task's time begins once the thread has started. */
  #ready = false
  #cancelLimit: (() => void) | undefined

  /** `file` without its extension: the source or what was built from it, whichever runs. `data` is the thread's `workerData`. */
  constructor(file: string, data: unknown, limits: WorkLimits, clock: Clock) {
    this.#file = new URL(`${file}.${import.meta.url.endsWith('.ts') ? 'ts' : 'js'}`, import.meta.url)
    this.#data = data
    this.#limits = limits
    this.#clock = clock
  }

  /** Throws what the task throws; `limit_exceeded` for one that passes a limit, `queue_full`, and the signal's reason. */
  run(task: Task, signal: AbortSignal): Promise<Result> {
    const { promise, resolve, reject } = Promise.withResolvers<Result>()
    const stopListening = onAbort(signal, (error) => {
      reject(error)
      // One that runs already runs to its end, and its answer is dropped.
      const at = this.#waiting.findIndex((entry) => entry.task === task)
      if (at >= 0) this.#waiting.splice(at, 1)
    })
    if (signal.aborted) return promise
    const { maxTasks } = this.#limits
    if (this.#waiting.length >= maxTasks) {
      stopListening()
      const limit = { name: 'maxEngineRequests', maximum: maxTasks, unit: 'requests' }
      const { message, details } = limitError(limit, this.#waiting.length + 1, 'The work waiting', 'Try again later.')
      reject(new TokenmillError('queue_full', message, { ...details, retryAfterMs: 1000 }))
      return promise
    }
    this.#waiting.push({ task, resolve, reject, stopListening })
    this.#next()
    return promise
  }

  async close(): Promise<void> {
    const error = new TokenmillError('cancelled', 'The engine is closed.')
    for (const entry of this.#waiting.splice(0)) entry.reject(error)
    await this.#end(error)
  }

  #next(): void {
    if (this.#current !== undefined) return
    const entry = this.#waiting.shift()
    if (entry === undefined) {
      // An idle thread keeps no process alive.
      this.#worker?.unref()
      return
    }
    this.#current = entry
    const worker = (this.#worker ??= this.#start())
    worker.ref()
    if (this.#ready) this.#limitTime()
    try {
      worker.postMessage(entry.task, [])
    } catch (error) {
      // Structured cloning is recursive.
      this.#settle({
        fault: { code: 'invalid_request', message: `The request nests too deeply: ${String(error)}`, details: {} },
      })
    }
  }

  #limitTime(): void {
    const { maxMs } = this.#limits
    if (maxMs !== undefined) this.#cancelLimit = this.#clock.schedule(maxMs, () => void this.#end(tooLong(maxMs)))
  }

  #start(): Worker {
    this.#ready = false
    const { maxBytes } = this.#limits
    const options: WorkerOptions = { workerData: this.#data, execArgv: [], stdin: false }
    if (maxBytes !== undefined) options.resourceLimits = { maxOldGenerationSizeMb: Math.ceil(maxBytes / 2 ** 20) }
    const worker = new Worker(this.#file, options)
    worker.on('message', (answer: TaskAnswer<Result>) => {
      if (worker !== this.#worker) return
      if (!('ready' in answer)) return this.#settle(answer)
      this.#ready = true
      if (this.#current !== undefined) this.#limitTime()
    })
    worker.on('error', (error: NodeJS.ErrnoException) => {
      if (worker !== this.#worker) return
      const outOfMemory = error.code === 'ERR_WORKER_OUT_OF_MEMORY' && maxBytes !== undefined
      void this.#end(outOfMemory ? tooLarge(maxBytes) : new TokenmillError('internal', error.message, {}, error))
    })
    return worker
  }

  #settle(answer: Exclude<TaskAnswer<Result>, { readonly ready: true }>): void {
    const entry = this.#current
    this.#current = undefined
    this.#cancelLimit?.()
    if (entry !== undefined) {
      entry.stopListening()
      if ('value' in answer) entry.resolve(answer.value)
      else entry.reject(new TokenmillError(answer.fault.code, answer.fault.message, answer.fault.details))
    }
    this.#next()
  }

  /** Ends the thread, and the task it was doing with the error. */
  async #end(error: TokenmillError): Promise<void> {
    const worker = this.#worker
    this.#worker = undefined
    const { code, message, details } = error
    this.#settle({ fault: { code, message, details } })
    await worker?.terminate()
  }
}

interface Entry<Task, Result> {
  readonly task: Task
  readonly resolve: (result: Result) => void
  readonly reject: (error: Error) => void
  readonly stopListening: () => void
}

function tooLong(maximum: number): TokenmillError {
  const message = `Preparing the request took longer than the limit 'maxPreparationMs' of ${maximum} ms. Simplify its schema or its tools.`
  return new TokenmillError('limit_exceeded', message, { limit: 'maxPreparationMs', maximum, unit: 'ms' })
}

function tooLarge(maximum: number): TokenmillError {
  const message = `Preparing the request took more memory than the limit 'maxPreparationBytes' of ${maximum} bytes. Simplify its schema or its tools.`
  return new TokenmillError('limit_exceeded', message, { limit: 'maxPreparationBytes', maximum, unit: 'bytes' })
}
