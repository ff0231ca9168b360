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
 * Half-open lets one trial through at a time. Each `enter` is reported once by the function that it returned. Limits are
 * read when an outcome is noted: new ones act at once, and what is known of the replica stays.
 */
export class CircuitBreaker {
  readonly #limits: () => BreakerLimits
  readonly #clock: Clock
  #state: 'closed' | 'open' | 'half-open' = 'closed'
  #failuresInRow = 0
  /** The last outcomes, true for a failure; at most `windowRequests`. */
  #window: boolean[] = []
  #failuresInWindow = 0
  #openUntilMs = 0
  /** Rest of the last opening; 0 while it was closed for good. */
  #openMs = 0
  #trials = 0
  #trialRunning = false

  constructor(limits: () => BreakerLimits, clock: Clock) {
    this.#limits = limits
    this.#clock = clock
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
    const limits = this.#limits()
    if (isTrial && this.#state === 'half-open') {
      if (failed) {
        this.#open(Math.min(this.#openMs * 2, limits.maxOpenMs))
        return
      }
      this.#trials += 1
      if (this.#trials >= limits.trialsToClose) this.#close()
      return
    }
    // Requests that were under way when it opened say nothing new.
    if (this.#state !== 'closed') return
    this.#failuresInRow = failed ? this.#failuresInRow + 1 : 0
    this.#remember(failed, limits.windowRequests)
    const full = this.#window.length >= limits.windowRequests
    if (
      this.#failuresInRow >= limits.failuresToOpen ||
      (full && this.#failuresInWindow / this.#window.length >= limits.failureShareToOpen)
    ) {
      this.#open(limits.openMs)
    }
  }

  #remember(failed: boolean, windowRequests: number): void {
    this.#window.push(failed)
    if (failed) this.#failuresInWindow += 1
    while (this.#window.length > windowRequests) if (this.#window.shift() === true) this.#failuresInWindow -= 1
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
    this.#failuresInWindow = 0
    this.#openMs = 0
  }
}
