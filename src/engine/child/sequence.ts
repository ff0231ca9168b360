import type { Sampler } from './backend.ts'
import type { JobRequest, RowLogprobs } from '../messages.ts'
import type { Holder } from './prefix-tree.ts'
import { SequenceOutput } from './sequence-output.ts'

/**
 * One continuation of one request inside the step loop.
 *
 *   tokens    [ prompt ………………… | generated … | free ]
 *               └ computed ─┘ └ to compute ┘ ^ length
 *
 * It holds a stream (a place for KV cells) while it runs, none while it waits. KvCache gives and takes the stream;
 * the loop creates the sampler and frees it when the sequence ends.
 */
export class Sequence implements Holder {
  readonly group: RequestGroup
  readonly index: number
  /** Order of arrival, over all sequences. The newest is preempted first. */
  readonly arrival: number
  tokens: Int32Array
  length: number
  computed = 0
  /** −1 while it has none. */
  stream = -1
  /** It has been given its place and looked for a prefix; false again after a preemption. */
  started = false
  generated = 0
  /** The number of the last sequence that had arrived when this one was established: had told a few words. */
  arrivalsWhenEstablished = Infinity
  /** Prompt tokens that were found in the KV cache when it first began. */
  cached = 0
  sampler: Sampler | undefined
  readonly output: SequenceOutput

  constructor(group: RequestGroup, index: number, arrival: number, prompt: Int32Array) {
    this.group = group
    this.index = index
    this.arrival = arrival
    this.output = new SequenceOutput(group.job, index)
    this.tokens = prompt
    this.length = prompt.length
  }

  get adapter(): number {
    return this.group.job.adapter
  }

  get remaining(): number {
    return this.length - this.computed
  }

  /** Log-probabilities of the prompt need the logits of all its tokens: none may come from the cache. */
  get needsAllLogits(): boolean {
    return this.index === 0 && this.group.promptLogprobs !== undefined && this.generated === 0
  }

  /** The first continuation tells the prompt's log-probabilities; others, with a prefix from the cache, would be before it. */
  get mayBegin(): boolean {
    return this.index === 0 || this.group.prefilled || this.group.promptLogprobs === undefined
  }

  /** It has generated the tokens that the request wants at least. */
  get mayStop(): boolean {
    return this.generated > this.group.job.minTokens
  }

  append(token: number): void {
    if (this.length === this.tokens.length) {
      // The prompt's array is shared by the continuations of a request: the first token moves each to its own.
      const grown = new Int32Array(Math.max(64, this.length + (this.length >> 1) + 32))
      grown.set(this.tokens)
      this.tokens = grown
    }
    this.tokens[this.length] = token
    this.length += 1
    this.generated += 1
  }
}

/** A request inside the loop: its job, and what its continuations have in common. */
export interface RequestGroup {
  readonly job: Job
  readonly promptTokens: number
  /** On the loop's clock; Infinity for none. */
  readonly deadlineAtMs: number
  /** Continuations that have not ended. */
  open: number
  /** The first continuation has its prompt in the cache, and the client was told. */
  prefilled: boolean
  /** Log-probabilities of the prompt's tokens as far as they are computed; undefined where nobody asked. */
  readonly promptLogprobs: RowLogprobs[] | undefined
}

/** A generation as it reaches the loop: all decided, all numbers. */
export interface Job extends Omit<JobRequest, 'shownTexts' | 'truncatePromptTokens'> {
  readonly prompt: Int32Array
  readonly shownTokens: ReadonlySet<number>
  readonly turnEndTokens: readonly number[]
}
