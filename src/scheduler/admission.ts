import { BoundedQueue, TokenmillError, type Clock, type QueueEntry } from '../core/index.ts'

/** The right to run at an engine. Released exactly once by whoever was given it; more releases do nothing. */
export interface Permit {
  /** Milliseconds spent in the queue. */
  readonly queuedMs: number
  release(): void
}

export interface AdmissionSettings {
  /** Name of what is waited for, for messages. */
  readonly name: string
  /** Sequences that may run at once. Asked each time, since an engine knows it only once it has loaded. */
  readonly capacity: () => number
  readonly maxQueue: number
  readonly maxQueueWaitMs: number
  readonly clock: Clock
}

/**
 * First come, first served, in front of one engine: as many sequences run as it has places, a bounded number of
 * requests wait, and one more is refused at once with its position and an estimate.
 *
 * A request's weight is the sequences it needs. The head of the queue waits until it fits, and nobody overtakes
 * it; one that is wider than the engine runs alone.
 */
export class Admission {
  readonly #settings: AdmissionSettings
  readonly #queue: BoundedQueue<Waiter>
  #running = 0
  #meanHoldMs: number | undefined

  constructor(settings: AdmissionSettings) {
    this.#settings = settings
    this.#queue = new BoundedQueue(settings.maxQueue)
  }

  /** Sequences that run now. */
  get running(): number {
    return this.#running
  }

  /** Requests in the queue. */
  get waiting(): number {
    return this.#queue.size
  }

  /**
   * Resolves with a permit once there is room. Throws `queue_full` at once, `queue_timeout` after maxQueueWaitMs,
   * and the signal's reason when it aborts; a request that leaves makes room for the next.
   */
  async admit(sequences: number, signal: AbortSignal): Promise<Permit> {
    signal.throwIfAborted()
    if (this.#queue.size === 0 && this.#fits(sequences)) return this.#grant(sequences, 0)
    return await this.#wait(sequences, signal)
  }

  /** When a request that joined the queue now would start, milliseconds from now; undefined before any has ended. */
  estimateWaitMs(): number | undefined {
    if (this.#meanHoldMs === undefined) return undefined
    return ((this.#queue.size + 1) * this.#meanHoldMs) / Math.max(1, this.#settings.capacity())
  }

  #wait(sequences: number, signal: AbortSignal): Promise<Permit> {
    const { clock, maxQueueWaitMs } = this.#settings
    return new Promise((resolve, reject) => {
      const leave = (error: Error) => {
        this.#queue.remove(entry)
        stopWaiting()
        reject(error)
        // Whoever left may have been the wide one that the others waited behind.
        this.#admitWaiting()
      }
      const aborted = () => leave(signal.reason instanceof Error ? signal.reason : new Error('aborted'))
      const stopTimer = clock.schedule(maxQueueWaitMs, () => leave(this.#timeoutError()))
      const stopWaiting = () => {
        stopTimer()
        signal.removeEventListener('abort', aborted)
      }
      const sinceMs = clock.now()
      const waiter: Waiter = {
        sequences,
        start: () => {
          stopWaiting()
          resolve(this.#grant(sequences, clock.now() - sinceMs))
        },
      }
      const pushed = this.#queue.push(waiter)
      if (pushed === undefined) {
        stopTimer()
        reject(this.#fullError())
        return
      }
      const entry: QueueEntry<Waiter> = pushed
      signal.addEventListener('abort', aborted, { once: true })
    })
  }

  #fits(sequences: number): boolean {
    return this.#running === 0 || this.#running + sequences <= this.#settings.capacity()
  }

  #grant(sequences: number, queuedMs: number): Permit {
    this.#running += sequences
    const sinceMs = this.#settings.clock.now()
    let released = false
    return {
      queuedMs,
      release: () => {
        if (released) return
        released = true
        this.#running -= sequences
        this.#learn(this.#settings.clock.now() - sinceMs)
        this.#admitWaiting()
      },
    }
  }

  #admitWaiting(): void {
    for (let head = this.#queue.peek(); head !== undefined && this.#fits(head.sequences); head = this.#queue.peek()) {
      this.#queue.shift()
      head.start()
    }
  }

  /** Mean time that a place is held, over about the last ten requests. */
  #learn(heldMs: number): void {
    this.#meanHoldMs = this.#meanHoldMs === undefined ? heldMs : this.#meanHoldMs + 0.1 * (heldMs - this.#meanHoldMs)
  }

  #fullError(): TokenmillError {
    const { name, maxQueue } = this.#settings
    const estimateMs = this.estimateWaitMs()
    // Half the queue: the engine has not run dry by then, and there is room for most of those who come back.
    const retryAfterMs = Math.min(60_000, Math.max(250, Math.round((estimateMs ?? 2000) / 2)))
    const estimate = estimateMs === undefined ? '' : ` Its last place would start in about ${seconds(estimateMs)}.`
    return new TokenmillError(
      'queue_full',
      `The queue for '${name}' is full: ${this.#queue.size} requests wait, and the limit 'maxQueue' is ${maxQueue}.${estimate} ` +
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

  #timeoutError(): TokenmillError {
    const { name, maxQueueWaitMs } = this.#settings
    return new TokenmillError(
      'queue_timeout',
      `No place at '${name}' became free within the limit 'maxQueueWaitMs' of ${maxQueueWaitMs} ms. Retry later.`,
      { limit: 'maxQueueWaitMs', maximum: maxQueueWaitMs, unit: 'ms', retryAfterMs: 5000 },
    )
  }
}

interface Waiter {
  readonly sequences: number
  readonly start: () => void
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`
}
