import type { Clock } from '../core/index.ts'

export interface RetryBudgetLimits {
  /** Retries earned by each request: 0.2 lets load grow by a fifth at most. */
  readonly retriesPerRequest: number
  /** Retries allowed each second whatever the traffic, so that a quiet model can retry at all. */
  readonly retriesPerSecond: number
}

/** Most retries that can be saved up: a burst of failures is answered by no larger burst. */
const maxSaved = 100

/**
 * Bounds retries to a share of requests (Finagle's retry budget), so that an outage is not answered by a storm of its
 * own making: three tries each would treble the load on replicas that are already failing.
 */
export class RetryBudget {
  readonly #limits: () => RetryBudgetLimits
  readonly #clock: Clock
  #saved: number
  #atMs: number

  constructor(limits: () => RetryBudgetLimits, clock: Clock) {
    this.#limits = limits
    this.#clock = clock
    this.#saved = Math.min(limits().retriesPerSecond, maxSaved)
    this.#atMs = clock.now()
  }

  /** A request came: it earns its share of a retry. */
  deposit(): void {
    this.#accrue()
    this.#saved = Math.min(maxSaved, this.#saved + this.#limits().retriesPerRequest)
  }

  /** Takes one retry; false when none is left. */
  withdraw(): boolean {
    this.#accrue()
    // A sum of fifths is a hair under the whole number.
    if (this.#saved < 1 - 1e-9) return false
    this.#saved -= 1
    return true
  }

  #accrue(): void {
    const nowMs = this.#clock.now()
    const earned = ((nowMs - this.#atMs) / 1000) * this.#limits().retriesPerSecond
    this.#saved = Math.min(maxSaved, this.#saved + earned)
    this.#atMs = nowMs
  }
}
