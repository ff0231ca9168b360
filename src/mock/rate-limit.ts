import type { Clock } from '../core/index.ts'

/** A token bucket, one second deep. */
export class RateLimit {
  readonly #perSecond: number
  readonly #clock: Clock
  #allowance: number
  #atMs: number

  /** Infinity: no limit. */
  constructor(perSecond: number, clock: Clock) {
    this.#perSecond = perSecond
    this.#clock = clock
    this.#allowance = Math.max(1, perSecond)
    this.#atMs = clock.now()
  }

  /** False: the rate is reached. */
  take(): boolean {
    if (this.#perSecond === Infinity) return true
    const nowMs = this.#clock.now()
    const gained = ((nowMs - this.#atMs) / 1000) * this.#perSecond
    this.#allowance = Math.min(Math.max(1, this.#perSecond), this.#allowance + gained)
    this.#atMs = nowMs
    if (this.#allowance < 1) return false
    this.#allowance -= 1
    return true
  }
}
