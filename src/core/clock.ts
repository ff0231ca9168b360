/** Where time comes from, so that schedulers and breakers run on a virtual clock in tests and simulations. */
export interface Clock {
  /** Milliseconds on a monotonic scale with an arbitrary origin; fractions count. For intervals. */
  now(): number
  /** Milliseconds since the Unix epoch. For records that people read. */
  wallTimeMs(): number
  /** Calls back once after `delayMs`, unless cancelled by the returned function. Does not keep the process alive. */
  schedule(delayMs: number, callback: () => void): () => void
}

export const systemClock: Clock = {
  now: () => performance.now(),
  wallTimeMs: () => Date.now(),
  schedule(delayMs, callback) {
    const timer = setTimeout(callback, delayMs)
    timer.unref()
    return () => clearTimeout(timer)
  },
}

/** A clock that moves only when told to. Due callbacks run in order of time, then of scheduling. */
export class VirtualClock implements Clock {
  #nowMs = 0
  #sequence = 0
  readonly #due: { atMs: number; sequence: number; callback: () => void }[] = []

  now(): number {
    return this.#nowMs
  }

  wallTimeMs(): number {
    return this.#nowMs
  }

  schedule(delayMs: number, callback: () => void): () => void {
    const entry = { atMs: this.#nowMs + Math.max(0, delayMs), sequence: this.#sequence++, callback }
    this.#due.push(entry)
    return () => {
      const at = this.#due.indexOf(entry)
      if (at >= 0) this.#due.splice(at, 1)
    }
  }

  /** Moves time forward by `ms`, running what falls due on the way, microtasks included. */
  async advance(ms: number): Promise<void> {
    const untilMs = this.#nowMs + ms
    for (;;) {
      await settle()
      const next = this.#earliest()
      if (next === undefined || next.atMs > untilMs) break
      this.#due.splice(this.#due.indexOf(next), 1)
      this.#nowMs = next.atMs
      next.callback()
    }
    this.#nowMs = untilMs
    await settle()
  }

  #earliest() {
    let best = this.#due[0]
    for (const entry of this.#due) {
      if (best === undefined || entry.atMs < best.atMs || (entry.atMs === best.atMs && entry.sequence < best.sequence))
        best = entry
    }
    return best
  }
}

/** Lets every promise that can resolve without time passing do so. */
function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
