import type { Clock } from '../core/index.ts'
import type { RelayFlow, RelaySink } from '../inference/index.ts'
import { SilenceWatch } from './silence-watch.ts'

const samples = 512
/** Gaps known before they are believed. */
const fewestSamples = 64
/** Sorting 512 numbers takes 30 µs: not for each gap. */
const gapsBetweenLooks = 64
const factor = 20
const leastMs = 5_000

/**
 * How long an endpoint's streams are silent between two pieces, over its last 512 gaps. From it follows when a stream is
 * frozen: after 20 times the gap that 99 of 100 stay under, at least 5 s. An engine that steps every 30 ms and
 * says nothing for 5 s is not slow but gone.
 */
export class StreamPace {
  readonly #gapsMs = new Float64Array(samples)
  #count = 0
  #p99Ms: number | undefined

  note(gapMs: number): void {
    this.#gapsMs[this.#count % samples] = gapMs
    this.#count += 1
    if (this.#count >= fewestSamples && this.#count % gapsBetweenLooks === 0) {
      const known = this.#gapsMs.slice(0, Math.min(this.#count, samples)).sort()
      this.#p99Ms = known[Math.floor(known.length * 0.99)]
    }
  }

  /** Longest silence within a stream, at most `idleMs`, which holds until the pace is known. */
  limitMs(idleMs: number): number {
    return this.#p99Ms === undefined ? idleMs : Math.min(idleMs, Math.max(leastMs, factor * this.#p99Ms))
  }
}

/**
 * Stands before the sink of an answer: notes the gaps of a stream from its second piece on (the first may be a role or
 * a comment, sent before the prefill), and calls `onFrozen` once where one grows past the pace's limit. Time in which
 * the reader holds the stream back does not count.
 */
export class PacedSink implements RelaySink {
  readonly #sink: RelaySink
  readonly #pace: StreamPace
  readonly #clock: Clock
  readonly #idleMs: number
  readonly #onFrozen: (limitMs: number) => void
  #watch: SilenceWatch | undefined
  #isStream = false
  #pieces = 0
  #lastMs = 0
  #held = false

  constructor(
    sink: RelaySink,
    pace: StreamPace,
    { clock, idleMs, onFrozen }: { clock: Clock; idleMs: number; onFrozen: (limitMs: number) => void },
  ) {
    this.#sink = sink
    this.#pace = pace
    this.#clock = clock
    this.#idleMs = idleMs
    this.#onFrozen = onFrozen
  }

  begin(...[head, flow]: Parameters<RelaySink['begin']>): void {
    this.#isStream = head.headers['content-type']?.startsWith('text/event-stream') === true
    const watched: RelayFlow = {
      pause: () => {
        this.#held = true
        flow.pause()
      },
      resume: () => {
        this.#held = false
        this.#lastMs = this.#clock.now()
        this.#watch?.heard()
        flow.resume()
      },
    }
    this.#sink.begin(head, watched)
  }

  data(chunk: Uint8Array): void {
    if (this.#isStream && chunk[0] !== commentStart) this.#note()
    this.#sink.data(chunk)
  }

  stop(): void {
    this.#watch?.stop()
  }

  #note(): void {
    const nowMs = this.#clock.now()
    this.#pieces += 1
    if (this.#pieces > 2 && !this.#held) this.#pace.note(nowMs - this.#lastMs)
    this.#lastMs = nowMs
    if (this.#pieces === 2) this.#arm()
    else this.#watch?.heard()
  }

  #arm(): void {
    const limitMs = (): number => this.#pace.limitMs(this.#idleMs)
    this.#watch = new SilenceWatch(this.#clock, limitMs, (silentMs) => {
      if (this.#held) this.#arm()
      else this.#onFrozen(silentMs)
    })
  }
}

/** `:` begins a comment, which engines send while they prefill. */
const commentStart = 0x3a
