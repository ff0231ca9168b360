import { performance } from 'node:perf_hooks'
import { LogHistogram } from '../../workload/index.ts'

/** How often the timer that measures the loop's delay is set. */
const samplePeriodMs = 10

/**
 * Proves the client innocent, or guilty. Two measures, both of the thread that reads the streams:
 *
 * - receive lag: for each batch of bytes, at most how long they can have waited for this thread. All sockets that
 *   one poll of the event loop reports were readable when it returned, so a batch waited (now − first batch of
 *   this poll), plus at most the time the loop was busy since the poll before:
 *
 *     poll ─ first ─ … ─ batch ─ check │ timers, busy │ poll (idle) ─ first ─ … ─ batch
 *             └──────── busy, counted whole ─────────┘                └ waited ┘
 *
 * - loop delay: how late a 10 ms timer fires beyond its grain of 1 ms. It also sees what the thread cannot: that
 *   the operating system ran somebody else.
 */
export class LoopWatch {
  readonly receiveLagMs = new LogHistogram(1.02)
  readonly loopDelayMs = new LogHistogram(1.02)
  #pollStartMs: number | undefined
  #carryMs = 0
  #lastPollStartMs: number
  #lastIdleMs: number
  #timer: NodeJS.Timeout | undefined
  #immediate: NodeJS.Immediate | undefined

  constructor() {
    this.#lastPollStartMs = performance.now()
    this.#lastIdleMs = performance.eventLoopUtilization().idle
  }

  start(): void {
    let dueMs = performance.now() + samplePeriodMs
    const sample = (): void => {
      const nowMs = performance.now()
      this.loopDelayMs.record(Math.max(0, nowMs - dueMs - 1))
      dueMs = nowMs + samplePeriodMs
      this.#timer = setTimeout(sample, samplePeriodMs)
      this.#timer.unref()
    }
    this.#timer = setTimeout(sample, samplePeriodMs)
    this.#timer.unref()
  }

  stop(): void {
    clearTimeout(this.#timer)
    clearImmediate(this.#immediate)
  }

  /** Bytes with so many events are being read now. Call it before they are parsed. */
  bytesArrived(): void {
    const nowMs = performance.now()
    if (this.#pollStartMs === undefined) {
      const idleMs = performance.eventLoopUtilization().idle
      this.#carryMs = Math.max(0, nowMs - this.#lastPollStartMs - (idleMs - this.#lastIdleMs))
      this.#lastIdleMs = idleMs
      this.#lastPollStartMs = nowMs
      this.#pollStartMs = nowMs
      this.#immediate = setImmediate(() => {
        this.#pollStartMs = undefined
      })
    }
    this.receiveLagMs.record(nowMs - this.#pollStartMs + this.#carryMs)
  }
}
