import { onAbort, TokenmillError, throwIfAborted, type Clock } from '../core/index.ts'
import type { QueuePolicy, Waiter } from './queue.ts'
import type { WorkItem } from './work-item.ts'

/** The right to run at a model. Released exactly once by whoever was given it; more releases do nothing. */
export interface Permit {
  /** Milliseconds spent in the queue. */
  readonly queuedMs: number
  release(): void
}

export interface AdmissionLimits {
  /** Sequences that may run at once. */
  readonly capacity: number
  /** Most requests that wait. */
  readonly maxQueue: number
  readonly maxQueueWaitMs: number
}

/**
 * In front of one model: as many sequences run as it has places, a bounded number of requests wait, and one more is
 * refused at once with its position and an estimate. Limits are read at each decision, so that new ones act at once.
 *
 * A request's weight is the sequences it needs. The head of the queue waits until it fits, and nobody overtakes it; one
 * that is wider than the model runs alone. Work without sequences takes no place and never waits.
 */
export class Admission {
  readonly #name: string
  readonly #limits: () => AdmissionLimits
  readonly #queue: QueuePolicy
  readonly #clock: Clock
  #running = 0
  #meanHoldMs: number | undefined

  constructor(name: string, limits: () => AdmissionLimits, queue: QueuePolicy, clock: Clock) {
    this.#name = name
    this.#limits = limits
    this.#queue = queue
    this.#clock = clock
  }

  /** Sequences that run now. */
  get running(): number {
    return this.#running
  }

  /** Requests in the queue. */
  get waiting(): number {
    return this.#queue.size
  }

  /** A permit where there is room now and nobody waits; undefined otherwise. */
  tryAdmit({ sequences }: WorkItem): Permit | undefined {
    if (sequences === 0) return freePermit
    return this.#queue.size === 0 && this.#fits(sequences) ? this.#grant(sequences, 0) : undefined
  }

  /**
   * Resolves with a permit once there is room. Throws `queue_full` at once, `queue_timeout` after maxQueueWaitMs,
   * and the signal's reason when it aborts; a request that leaves makes room for the next.
   */
  async admit(item: WorkItem, signal: AbortSignal): Promise<Permit> {
    throwIfAborted(signal)
    return this.tryAdmit(item) ?? (await this.#wait(item, signal))
  }

  /** When a request that joined the queue now would start, milliseconds from now; undefined before any has ended. */
  estimateWaitMs(): number | undefined {
    if (this.#meanHoldMs === undefined) return undefined
    return ((this.#queue.size + 1) * this.#meanHoldMs) / Math.max(1, this.#limits().capacity)
  }

  #wait(item: WorkItem, signal: AbortSignal): Promise<Permit> {
    const sinceMs = this.#clock.now()
    return new Promise((resolve, reject) => {
      const waiter: Waiter = {
        item,
        start: () => {
          stopWaiting()
          resolve(this.#grant(item.sequences, this.#clock.now() - sinceMs))
        },
      }
      const entry = this.#queue.push(waiter)
      if (entry === undefined) {
        reject(this.#fullError())
        return
      }
      const leave = (error: TokenmillError): void => {
        this.#queue.remove(entry)
        stopWaiting()
        reject(error)
        // The one that left may have been the wide one that the others waited behind.
        this.#admitWaiting()
      }
      const { maxQueueWaitMs } = this.#limits()
      const cancelTimer = this.#clock.schedule(maxQueueWaitMs, () => leave(this.#timeoutError(maxQueueWaitMs)))
      const stopListening = onAbort(signal, leave)
      const stopWaiting = (): void => {
        cancelTimer()
        stopListening()
      }
    })
  }

  #fits(sequences: number): boolean {
    return this.#running === 0 || this.#running + sequences <= this.#limits().capacity
  }

  #grant(sequences: number, queuedMs: number): Permit {
    this.#running += sequences
    const sinceMs = this.#clock.now()
    let released = false
    return {
      queuedMs,
      release: () => {
        if (released) return
        released = true
        this.#running -= sequences
        this.#learn(this.#clock.now() - sinceMs)
        this.#admitWaiting()
      },
    }
  }

  #admitWaiting(): void {
    for (let head = this.#queue.peek(); head !== undefined; head = this.#queue.peek()) {
      if (!this.#fits(head.item.sequences)) return
      this.#queue.shift()
      head.start()
    }
  }

  /** Mean time that a place is held, over about the last ten requests. */
  #learn(heldMs: number): void {
    this.#meanHoldMs = this.#meanHoldMs === undefined ? heldMs : this.#meanHoldMs + 0.1 * (heldMs - this.#meanHoldMs)
  }

  #fullError(): TokenmillError {
    const { maxQueue } = this.#limits()
    const estimateMs = this.estimateWaitMs()
    // Half the queue: the engine has not run dry by then, and there is room for most of those who come back.
    const retryAfterMs = Math.min(60_000, Math.max(250, Math.round((estimateMs ?? 2000) / 2)))
    const estimate = estimateMs === undefined ? '' : ` Its last place would start in about ${seconds(estimateMs)}.`
    return new TokenmillError(
      'queue_full',
      `The queue for '${this.#name}' is full: ${this.#queue.size} requests wait, and the limit 'maxQueue' is ${maxQueue}.${estimate} ` +
        `Retry in ${seconds(retryAfterMs)}.`,
      {
        limit: 'maxQueue',
        maximum: maxQueue,
        actual: this.#queue.size,
        unit: 'requests',
        queuePosition: this.#queue.size,
        retryAfterMs,
      },
    )
  }

  #timeoutError(maxQueueWaitMs: number): TokenmillError {
    return new TokenmillError(
      'queue_timeout',
      `No place at '${this.#name}' became free within the limit 'maxQueueWaitMs' of ${maxQueueWaitMs} ms. Retry later.`,
      { limit: 'maxQueueWaitMs', maximum: maxQueueWaitMs, unit: 'ms', retryAfterMs: 5000 },
    )
  }
}

const freePermit: Permit = { queuedMs: 0, release: () => undefined }

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`
}
