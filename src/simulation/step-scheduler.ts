import type { Clock } from '../core/index.ts'
import type { StepModel } from '../inference/index.ts'
import { KvBlocks, type KvBlockSettings } from './kv-blocks.ts'
import type { SequenceScheduler } from './sequence-scheduler.ts'
import type { SimulatedSequence } from './sequence.ts'

export interface StepSchedulerSettings {
  readonly model: StepModel
  /** Most prompt tokens computed in a step, over all prompts; sequences that decode are not held back by it. */
  readonly prefillTokensPerStep: number
  readonly maxRunning: number
  readonly kv: KvBlockSettings
}

/**
 * Continuous batching as vLLM's scheduler does it (v1, vllm/v1/core/sched/scheduler.py). Running sequences come first, in the order
 * in which they began: each gets its next token, or a chunk of its prompt from what is left of the step's budget. Where KV blocks run
 * out, the newest running sequence gives up its own and waits first in line. If nobody was preempted, those who wait
 * begin, first come first served.
 *
 * Steps are due one after the other on the clock, so that late timers do not add up.
 */
export class StepScheduler implements SequenceScheduler {
  readonly maxRunning: number
  readonly #clock: Clock
  readonly #settings: StepSchedulerSettings
  readonly #blocks: KvBlocks
  readonly #running: SimulatedSequence[] = []
  readonly #line: SimulatedSequence[] = []
  #stepping = false
  #preemptions = 0
  #queries = 0
  #hits = 0
  #joules = 0

  constructor(clock: Clock, settings: StepSchedulerSettings) {
    this.#clock = clock
    this.#settings = settings
    this.#blocks = new KvBlocks(settings.kv)
    this.maxRunning = settings.maxRunning
  }

  get running(): number {
    return this.#running.length
  }

  get waiting(): number {
    return this.#line.length
  }

  get kvCacheUsage(): number {
    return this.#blocks.used / this.#blocks.capacity
  }

  get kvTokens(): number {
    return this.#blocks.capacity * this.#blocks.blockTokens
  }

  get prefixCache(): { readonly queries: number; readonly hits: number } {
    return { queries: this.#queries, hits: this.#hits }
  }

  get preemptions(): number {
    return this.#preemptions
  }

  get joules(): number | undefined {
    return this.#settings.model.stepJoules === undefined ? undefined : this.#joules
  }

  submit(sequence: SimulatedSequence): void {
    sequence.place = 'waiting'
    this.#line.push(sequence)
    if (this.#stepping) return
    this.#stepping = true
    // Those that come at the same moment share the first step.
    const startMs = this.#clock.now()
    this.#clock.schedule(0, () => this.#step(startMs))
  }

  cancel(sequence: SimulatedSequence): void {
    const list = sequence.place === 'running' ? this.#running : this.#line
    const at = list.indexOf(sequence)
    if (at >= 0) list.splice(at, 1)
    this.#end(sequence)
  }

  #step(startMs: number): void {
    const work = this.#plan()
    if (work.length === 0) {
      this.#stepping = false
      return
    }
    const batch = batchOf(work)
    const { model } = this.#settings
    const endMs = startMs + model.stepMs(batch)
    this.#joules += model.stepJoules?.(batch) ?? 0
    for (const { sequence, tokens } of work) sequence.advanceTo(sequence.computed + tokens, this.#blocks)
    this.#clock.schedule(Math.max(0, endMs - this.#clock.now()), () => {
      for (const { sequence } of work) this.#emit(sequence)
      this.#step(endMs)
    })
  }

  /** What the next step computes. Its blocks are taken. */
  #plan(): SequenceWork[] {
    const work: SequenceWork[] = []
    let budget = this.#settings.prefillTokensPerStep
    const add = (sequence: SimulatedSequence, tokens: number): void => {
      const { decoding, computed } = sequence
      if (!decoding) budget -= tokens
      work.push({ sequence, tokens, decoding, before: computed })
    }
    const preemptions = this.#preemptions
    for (let at = 0; at < this.#running.length; at += 1) {
      const sequence = this.#running[at] as SimulatedSequence
      const missing = sequence.length - sequence.computed
      const tokens = sequence.decoding ? missing : Math.min(budget, missing)
      if (tokens > 0 && this.#makeRoom(sequence, sequence.computed + tokens)) add(sequence, tokens)
    }
    if (preemptions < this.#preemptions) return work
    for (let next = this.#line[0]; next !== undefined && budget > 0; next = this.#line[0]) {
      const tokens = this.#running.length < this.maxRunning ? this.#begin(next, budget) : 0
      if (tokens === 0) break
      this.#line.shift()
      this.#running.push(next)
      next.place = 'running'
      add(next, tokens)
    }
    return work
  }

  /** Blocks for the first `end` tokens, taken from the newest sequences where none are free. False: it was the newest itself. */
  #makeRoom(sequence: SimulatedSequence, end: number): boolean {
    while (!this.#blocks.grow(sequence.blocks, end)) {
      const newest = this.#running.pop() as SimulatedSequence
      newest.reset(this.#blocks)
      newest.place = 'waiting'
      this.#line.unshift(newest)
      this.#preemptions += 1
      if (newest === sequence) return false
    }
    return true
  }

  /** Tokens of its first chunk; 0 where there is no room for it. */
  #begin(sequence: SimulatedSequence, budget: number): number {
    const first = sequence.cachedTokens === undefined
    sequence.takePrefix(this.#blocks)
    const tokens = Math.min(budget, sequence.length - sequence.computed)
    if (!this.#blocks.grow(sequence.blocks, sequence.computed + tokens)) {
      sequence.reset(this.#blocks)
      if (first) sequence.cachedTokens = undefined
      return 0
    }
    if (first) {
      this.#queries += sequence.prompt.length
      this.#hits += sequence.computed
    }
    return tokens
  }

  /** The next token of a sequence that has all computed, and is still there: its client may have left while the step ran. */
  #emit(sequence: SimulatedSequence): void {
    if (sequence.place !== 'running' || sequence.computed < sequence.length) return
    if (sequence.emit()) this.cancel(sequence)
  }

  #end(sequence: SimulatedSequence): void {
    sequence.reset(this.#blocks)
    sequence.place = 'gone'
  }
}

/** A sequence's share of a step. */
interface SequenceWork {
  readonly sequence: SimulatedSequence
  readonly tokens: number
  readonly decoding: boolean
  /** Tokens that stand before them. */
  readonly before: number
}

function batchOf(work: readonly SequenceWork[]) {
  const batch = { decodeSequences: 0, contextTokens: 0, prefillTokens: 0, prefillPairs: 0 }
  for (const { tokens, decoding, before } of work) {
    if (decoding) {
      batch.decodeSequences += 1
      batch.contextTokens += before + 1
    } else {
      batch.prefillTokens += tokens
      batch.prefillPairs += tokens * (before + tokens / 2)
    }
  }
  return batch
}
