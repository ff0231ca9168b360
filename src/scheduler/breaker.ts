import type { Clock } from '../core/index.ts'

export interface BreakerLimits {
  /** Failures in a row that open it. */
  readonly failuresToOpen: number
  /** Share of failures among the last `windowRequests` that opens it too: an outlier that fails every other request. */
  readonly failureShareToOpen: number
  readonly windowRequests: number
  /** How long it stays open the first time; doubled each time that the trial fails. */
  readonly openMs: number
  readonly maxOpenMs: number
  /** Successful trials that close it. */
  readonly trialsToClose: number
}

/**
 * Circuit breaker of one replica, by its own traffic (passive checks).
 *
 *   closed ──failures──▶ open ──openMs──▶ half-open ──trialsToClose successes──▶ closed
 *                         ▲──────────────── failure, openMs doubled ┘
 *
 * Half-open lets one trial through at a time. Whoever was let in by `enter` reports once by `leave`.
 */
export class CircuitBreaker {
  readonly #limits: BreakerLimits
  readonly #clock: Clock
  #state: 'closed' | 'open' | 'half-open' = 'closed'
  #failuresInRow = 0
  /** The last outcomes, true for a failure; at most `windowRequests`. */
  #window: boolean[] = []
  #openUntilMs = 0
  #openMs: number
  #trials = 0
  #trialRunning = false

  constructor(limits: BreakerLimits, clock: Clock) {
    this.#limits = limits
    this.#clock = clock
    this.#openMs = limits.openMs
  }

  get state(): 'closed' | 'open' | 'half-open' {
    return this.#state === 'open' && this.#clock.now() >= this.#openUntilMs ? 'half-open' : this.#state
  }

  /** May a request go through now? */
  get admits(): boolean {
    const state = this.state
    return state === 'closed' || (state === 'half-open' && !this.#trialRunning)
  }

  /** Milliseconds until a trial may go through; 0 now. */
  get opensInMs(): number {
    return this.#state === 'open' ? Math.max(0, this.#openUntilMs - this.#clock.now()) : 0
  }

  /** A request goes through. Returns what to call once with its end; undefined tells nothing of the replica's health. */
  enter(): (failed: boolean | undefined) => void {
    this.#state = this.state
    const isTrial = this.#state === 'half-open'
    if (isTrial) this.#trialRunning = true
    let left = false
    return (failed) => {
      if (left) return
      left = true
      if (isTrial) this.#trialRunning = false
      if (failed !== undefined) this.#note(failed, isTrial)
    }
  }

  #note(failed: boolean, isTrial: boolean): void {
    if (isTrial && this.#state === 'half-open') {
      if (failed) {
        this.#open(Math.min(this.#openMs * 2, this.#limits.maxOpenMs))
        return
      }
      this.#trials += 1
      if (this.#trials >= this.#limits.trialsToClose) this.#close()
      return
    }
    // Requests that were under way when it opened say nothing new.
    if (this.#state !== 'closed') return
    this.#failuresInRow = failed ? this.#failuresInRow + 1 : 0
    this.#window.push(failed)
    if (this.#window.length > this.#limits.windowRequests) this.#window.shift()
    const failures = this.#window.filter(Boolean).length
    const full = this.#window.length >= this.#limits.windowRequests
    if (
      this.#failuresInRow >= this.#limits.failuresToOpen ||
      (full && failures / this.#window.length >= this.#limits.failureShareToOpen)
    ) {
      this.#open(this.#limits.openMs)
    }
  }

  #open(openMs: number): void {
    this.#state = 'open'
    this.#openMs = openMs
    this.#openUntilMs = this.#clock.now() + openMs
    this.#trials = 0
  }

  #close(): void {
    this.#state = 'closed'
    this.#failuresInRow = 0
    this.#window = []
    this.#openMs = this.#limits.openMs
  }
}
