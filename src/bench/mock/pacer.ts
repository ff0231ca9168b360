import type { Clock, Random } from '../../core/index.ts'
import type { Distribution } from '../../workload/index.ts'

/** A sequence whose tokens become due one after the other. Whoever starts it owns it until `done` or `cancel`. */
export interface PacedSequence {
  readonly promptTokens: number
  /** Of them, those that need no prefill. */
  readonly cachedTokens: number
  readonly outputTokens: number
  /** The request's own generator: its draws do not depend on what runs beside it. */
  readonly random: Random
  /** One token is due now. After the last one (`outputTokens`) the pacer forgets the sequence. */
  onToken(): void
}

/** The model of time: decides when each token of each sequence is due. */
export interface Pacer {
  readonly running: number
  readonly waiting: number
  /** Share of KV cells in use, 0 to 1; undefined where the model has none. */
  readonly kvCacheUsage: number | undefined
  readonly preemptions: number
  /** False when the waiting line is full: the sequence was not taken. */
  start(sequence: PacedSequence): boolean
  cancel(sequence: PacedSequence): void
}

export interface IndependentLatency {
  readonly ttftMs: Distribution
  readonly itlMs: Distribution
  readonly maxRunning: number
  readonly maxQueue: number
}

/**
 * Sequences that do not feel each other: time to first token and each gap are drawn from two distributions.
 * Each due time is counted from the one before, not from the moment the timer fired, so that late timers do not
 * add up. Beyond `maxRunning`, sequences wait in line; their time to first token starts when they leave it.
 */
export class IndependentPacer implements Pacer {
  readonly #clock: Clock
  readonly #latency: IndependentLatency
  readonly #cancels = new Map<PacedSequence, () => void>()
  readonly #line: PacedSequence[] = []
  readonly kvCacheUsage = undefined
  readonly preemptions = 0

  constructor(clock: Clock, latency: IndependentLatency) {
    this.#clock = clock
    this.#latency = latency
  }

  get running(): number {
    return this.#cancels.size
  }

  get waiting(): number {
    return this.#line.length
  }

  start(sequence: PacedSequence): boolean {
    if (this.running < this.#latency.maxRunning) this.#run(sequence)
    else if (this.#line.length < this.#latency.maxQueue) this.#line.push(sequence)
    else return false
    return true
  }

  cancel(sequence: PacedSequence): void {
    const cancel = this.#cancels.get(sequence)
    if (cancel !== undefined) {
      cancel()
      this.#leave(sequence)
      return
    }
    const at = this.#line.indexOf(sequence)
    if (at >= 0) this.#line.splice(at, 1)
  }

  #run(sequence: PacedSequence): void {
    let dueMs = this.#clock.now() + this.#latency.ttftMs.sample(sequence.random)
    let left = sequence.outputTokens
    const wait = (): void => {
      this.#cancels.set(sequence, this.#clock.schedule(Math.max(0, dueMs - this.#clock.now()), emit))
    }
    const emit = (): void => {
      left -= 1
      if (left <= 0) this.#leave(sequence)
      else {
        dueMs += this.#latency.itlMs.sample(sequence.random)
        wait()
      }
      sequence.onToken()
    }
    wait()
  }

  #leave(sequence: PacedSequence): void {
    this.#cancels.delete(sequence)
    const next = this.#line.shift()
    if (next !== undefined) this.#run(next)
  }
}
