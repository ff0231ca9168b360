import { Heap } from './heap.ts'

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

/**
 * A clock whose `now()` counts milliseconds of CLOCK_MONOTONIC, the same origin in every process and thread of this machine, so that
 * times recorded by a server and by its client can be compared. Costs one performance.now() a call: the difference
 * between the two origins is taken once, here.
 */
export function createMachineClock(): Clock {
  const before = performance.now()
  const machineMs = Number(process.hrtime.bigint()) / 1e6
  const originMs = machineMs - (before + performance.now()) / 2
  return { ...systemClock, now: () => originMs + performance.now() }
}

/**
 * A clock that moves only when told to. Due callbacks run in order of time, then of scheduling.
 *
 * Timers lie in a heap, 100,000 of them as cheaply as ten. A cancelled one stays there without its callback until its time
 * comes, or until more than half of the heap is cancelled: then those are dropped together.
 */
export class VirtualClock implements Clock {
  #nowMs = 0
  #sequence = 0
  #cancelled = 0
  readonly #due = new Heap<Timer>((a, b) => a.atMs < b.atMs || (a.atMs === b.atMs && a.sequence < b.sequence))

  now(): number {
    return this.#nowMs
  }

  wallTimeMs(): number {
    return this.#nowMs
  }

  /** Timers that have neither run nor been cancelled. */
  get pending(): number {
    return this.#due.size - this.#cancelled
  }

  schedule(delayMs: number, callback: () => void): () => void {
    const timer: Timer = { atMs: this.#nowMs + Math.max(0, delayMs), sequence: this.#sequence++, callback }
    this.#due.push(timer)
    return () => {
      if (timer.callback === undefined) return
      timer.callback = undefined
      this.#cancelled += 1
      if (2 * this.#cancelled > this.#due.size) this.#dropCancelled()
    }
  }

  /** Moves time forward by `ms`, running what falls due on the way, microtasks included. */
  async advance(ms: number): Promise<void> {
    const untilMs = this.#nowMs + ms
    for (;;) {
      await settle()
      const next = this.#earliest()
      if (next?.callback === undefined || next.atMs > untilMs) break
      this.#due.pop()
      const { callback } = next
      next.callback = undefined
      this.#nowMs = next.atMs
      callback()
    }
    this.#nowMs = untilMs
    await settle()
  }

  /** The next timer that still has its callback. */
  #earliest(): Timer | undefined {
    for (;;) {
      const first = this.#due.peek()
      if (first === undefined || first.callback !== undefined) return first
      this.#due.pop()
      this.#cancelled -= 1
    }
  }

  #dropCancelled(): void {
    this.#due.keep((timer) => timer.callback !== undefined)
    this.#cancelled = 0
  }
}

interface Timer {
  readonly atMs: number
  readonly sequence: number
  /** Undefined once it has run or was cancelled. */
  callback: (() => void) | undefined
}

/** Lets every promise that can resolve without time passing do so. */
function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
