/**
 * How often the endpoints of one server are looked at, all together: many endpoints are each looked at more seldom, so
 * that watching them costs no more than watching a few.
 */
export class CheckPace {
  readonly #maxChecksPerSecond: number
  #endpoints = 0

  constructor(maxChecksPerSecond: number) {
    this.#maxChecksPerSecond = maxChecksPerSecond
  }

  /** Counts an endpoint in. The returned function counts it out, once. */
  enter(): () => void {
    this.#endpoints += 1
    let left = false
    return () => {
      if (!left) this.#endpoints -= 1
      left = true
    }
  }

  /** The wait that is wanted, or as much longer as the pace asks for. */
  delayMs(wantedMs: number): number {
    return Math.max(wantedMs, (this.#endpoints * 1000) / this.#maxChecksPerSecond)
  }
}
