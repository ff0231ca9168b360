import { Heap, type Clock } from '../core/index.ts'
import type { Distribution } from '../workload/index.ts'
import { KvBlocks } from './kv-blocks.ts'
import type { SequenceScheduler } from './sequence-scheduler.ts'
import type { SimulatedSequence } from './sequence.ts'

export interface IndependentSchedulerSettings {
  /** Time to first token, from when the sequence leaves the line, ms. */
  readonly ttftMs: Distribution
  /** Gap between two tokens, ms. */
  readonly itlMs: Distribution
  readonly maxRunning: number
  readonly blockTokens: number
  /** Blocks that the prefix cache keeps; 0: none. What is found costs no less time. */
  readonly cachedBlocks: number
}

/** A sequence under way, and when its next token is due. */
interface Due {
  readonly sequence: SimulatedSequence
  dueMs: number
}

/**
 * Sequences that do not feel each other: time to first token and each gap are drawn from two distributions. Each due time is counted
 * from the one before, not from the moment the timer fired, so that late timers do not add up. Beyond `maxRunning`, sequences
 * wait in line.
 *
 * All sequences share one timer, set to the earliest due time: a thousand streams cost no thousand timers.
 */
export class IndependentScheduler implements SequenceScheduler {
  readonly maxRunning: number
  readonly kvCacheUsage = undefined
  readonly kvTokens = undefined
  readonly preemptions = 0
  readonly joules = undefined
  readonly #clock: Clock
  readonly #settings: IndependentSchedulerSettings
  readonly #blocks: KvBlocks
  /** Cancelled entries stay until their time comes. */
  readonly #due = new Heap<Due>((a, b) => a.dueMs < b.dueMs)
  readonly #line: SimulatedSequence[] = []
  #running = 0
  #queries = 0
  #hits = 0
  #timer: { readonly atMs: number; readonly cancel: () => void } | undefined

  constructor(clock: Clock, settings: IndependentSchedulerSettings) {
    this.#clock = clock
    this.#settings = settings
    this.maxRunning = settings.maxRunning
    const { blockTokens, cachedBlocks } = settings
    this.#blocks = new KvBlocks({ blockTokens, cachedBlocks, blocks: Infinity })
  }

  get running(): number {
    return this.#running
  }

  get waiting(): number {
    return this.#line.length
  }

  get prefixCache(): { readonly queries: number; readonly hits: number } {
    return { queries: this.#queries, hits: this.#hits }
  }

  submit(sequence: SimulatedSequence): void {
    sequence.place = 'waiting'
    if (this.#running < this.maxRunning) this.#begin(sequence)
    else this.#line.push(sequence)
  }

  cancel(sequence: SimulatedSequence): void {
    if (sequence.place === 'waiting') {
      const at = this.#line.indexOf(sequence)
      if (at >= 0) this.#line.splice(at, 1)
    }
    const ran = sequence.place === 'running'
    sequence.place = 'gone'
    if (!ran) return
    sequence.reset(this.#blocks)
    this.#running -= 1
    const next = this.#line.shift()
    if (next !== undefined) this.#begin(next)
  }

  #begin(sequence: SimulatedSequence): void {
    sequence.place = 'running'
    this.#running += 1
    sequence.takePrefix(this.#blocks)
    this.#queries += sequence.prompt.length
    this.#hits += sequence.computed
    this.#due.push({ sequence, dueMs: this.#clock.now() + this.#settings.ttftMs.sample(sequence.random) })
    this.#setTimer()
  }

  #setTimer(): void {
    const atMs = this.#due.peek()?.dueMs
    if (atMs === undefined || (this.#timer !== undefined && this.#timer.atMs <= atMs)) return
    this.#timer?.cancel()
    const cancel = this.#clock.schedule(Math.max(0, atMs - this.#clock.now()), () => {
      this.#timer = undefined
      this.#emitDue()
      this.#setTimer()
    })
    this.#timer = { atMs, cancel }
  }

  #emitDue(): void {
    const nowMs = this.#clock.now()
    for (let due = this.#due.peek(); due !== undefined && due.dueMs <= nowMs; due = this.#due.peek()) {
      const { sequence } = due
      if (sequence.place !== 'running') {
        this.#due.pop()
        continue
      }
      // The prompt is in the cache from its first token on.
      if (sequence.generated.length === 0) this.#computePrompt(sequence)
      due.dueMs += this.#settings.itlMs.sample(sequence.random)
      this.#due.settleFirst()
      if (sequence.emit()) this.cancel(sequence)
    }
  }

  #computePrompt(sequence: SimulatedSequence): void {
    this.#blocks.grow(sequence.blocks, sequence.prompt.length)
    sequence.advanceTo(sequence.prompt.length, this.#blocks)
  }
}
