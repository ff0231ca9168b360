import type { Clock } from '../../core/index.ts'
import type { PacedSequence, Pacer } from './pacer.ts'

/** Times of an engine with continuous batching and chunked prefill. */
export interface StepLatency {
  /** Time of a step with nothing in it: reading the weights, launching kernels. */
  readonly baseMs: number
  /** Added per sequence that decodes in the step. */
  readonly perSequenceMs: number
  /** Added per prompt token computed in the step. */
  readonly perPrefillTokenMs: number
  /** Added per thousand tokens of context held by the decoding sequences: reading the KV cache. */
  readonly perThousandContextMs: number
  /** Most prompt tokens computed in a step. */
  readonly prefillChunkTokens: number
  readonly maxRunning: number
  readonly maxQueue: number
  /** KV cells; when running sequences outgrow them, the newest is preempted and computed again later. */
  readonly kvTokens: number
}

interface Running {
  readonly sequence: PacedSequence
  /** Prompt tokens (and, after preemption, output tokens) still to be computed before the next token. */
  prefillLeft: number
  /** Tokens whose keys and values are held. */
  contextTokens: number
  emitted: number
}

/**
 * A step model: all running sequences advance one token per step, and a step costs
 *
 *   baseMs + perSequenceMs·decoding + perPrefillTokenMs·prefill + perThousandContextMs·context/1000
 *
 * so that more load makes every stream slower, and long prompts stall the others, as in a real engine. Steps are
 * due one after the other on the clock, so that late timers do not add up.
 */
export class StepPacer implements Pacer {
  readonly #clock: Clock
  readonly #latency: StepLatency
  readonly #running: Running[] = []
  readonly #line: Running[] = []
  #stepping = false
  #preemptions = 0

  constructor(clock: Clock, latency: StepLatency) {
    this.#clock = clock
    this.#latency = latency
  }

  get running(): number {
    return this.#running.length
  }

  get waiting(): number {
    return this.#line.length
  }

  get kvCacheUsage(): number {
    return Math.min(1, this.#contextTokens() / this.#latency.kvTokens)
  }

  get preemptions(): number {
    return this.#preemptions
  }

  start(sequence: PacedSequence): boolean {
    if (this.#line.length >= this.#latency.maxQueue && this.#running.length >= this.#latency.maxRunning) return false
    this.#line.push({
      sequence,
      prefillLeft: Math.max(1, sequence.promptTokens - sequence.cachedTokens),
      contextTokens: sequence.cachedTokens,
      emitted: 0,
    })
    if (!this.#stepping) {
      this.#stepping = true
      this.#step(this.#clock.now())
    }
    return true
  }

  cancel(sequence: PacedSequence): void {
    for (const place of [this.#running, this.#line]) {
      const at = place.findIndex((entry) => entry.sequence === sequence)
      if (at >= 0) place.splice(at, 1)
    }
  }

  /** Schedules one step: admit, prefill, decode; at its end the tokens are due. */
  #step(startMs: number): void {
    this.#admit()
    if (this.#running.length === 0) {
      this.#stepping = false
      return
    }
    const decoding = this.#running.filter((entry) => entry.prefillLeft === 0)
    let chunk = this.#latency.prefillChunkTokens
    const prefilled: Running[] = []
    for (const entry of this.#running) {
      if (entry.prefillLeft === 0 || chunk === 0) continue
      const tokens = Math.min(chunk, entry.prefillLeft)
      chunk -= tokens
      entry.prefillLeft -= tokens
      entry.contextTokens += tokens
      if (entry.prefillLeft === 0) prefilled.push(entry)
    }
    const { baseMs, perSequenceMs, perPrefillTokenMs, perThousandContextMs, prefillChunkTokens } = this.#latency
    const context = decoding.reduce((sum, entry) => sum + entry.contextTokens, 0)
    const stepMs =
      baseMs +
      perSequenceMs * decoding.length +
      perPrefillTokenMs * (prefillChunkTokens - chunk) +
      (perThousandContextMs * context) / 1000
    const endMs = startMs + stepMs
    this.#clock.schedule(Math.max(0, endMs - this.#clock.now()), () => {
      for (const entry of decoding) this.#emit(entry)
      for (const entry of prefilled) this.#emit(entry)
      this.#preempt()
      this.#step(endMs)
    })
  }

  #admit(): void {
    while (this.#running.length < this.#latency.maxRunning) {
      const next = this.#line[0]
      if (next === undefined) return
      const needed = this.#contextTokens() + next.contextTokens + next.prefillLeft
      if (needed > this.#latency.kvTokens && this.#running.length > 0) return
      this.#line.shift()
      this.#running.push(next)
    }
  }

  /** One token for a sequence that is still there: a client may have left while the step ran. */
  #emit(entry: Running): void {
    const at = this.#running.indexOf(entry)
    if (at < 0) return
    entry.emitted += 1
    entry.contextTokens += 1
    if (entry.emitted >= entry.sequence.outputTokens) this.#running.splice(at, 1)
    entry.sequence.onToken()
  }

  #preempt(): void {
    while (this.#running.length > 1 && this.#contextTokens() > this.#latency.kvTokens) {
      const newest = this.#running.pop()
      if (newest === undefined) return
      newest.prefillLeft += newest.contextTokens
      newest.contextTokens = 0
      this.#line.unshift(newest)
      this.#preemptions += 1
    }
  }

  #contextTokens(): number {
    return this.#running.reduce((sum, entry) => sum + entry.contextTokens, 0)
  }
}
