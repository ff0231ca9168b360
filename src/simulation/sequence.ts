import type { Random } from '../core/index.ts'
import type { KvBlock, KvBlocks } from './kv-blocks.ts'
import { hashTokens, type BlockHash } from './token-hash.ts'
import { drawWord } from './tokens.ts'

/** Told of what happens to a sequence, in this order: `onPrefilled` once, then `onToken` for each token. */
export interface SequenceListener {
  /** The prompt is computed; `cachedTokens` of it were found. */
  onPrefilled(cachedTokens: number): void
  /** The next token is due. May cancel the sequence. */
  onToken(text: string, last: boolean): void
}

export interface SequenceParts {
  readonly prompt: readonly number[]
  readonly outputTokens: number
  /** For times. The sequence's own, so that its draws do not depend on what runs beside it. */
  readonly random: Random
  /** For the words that it generates. */
  readonly words: Random
  readonly listener: SequenceListener
}

/**
 * One sequence: `computed` tokens move towards `length`; when they reach it, a token is generated and `length` grows by one.
 * Prefill, decode, and computing again after preemption are not three modes.
 *
 *   tokens:   [ prompt ……………………… │ generated …… ]
 *   computed: ────────────►               length ┘
 *   blocks:   [ b0 │ b1 │ b2 │ b… ]
 */
export class SimulatedSequence {
  readonly prompt: readonly number[]
  readonly outputTokens: number
  readonly random: Random
  /** Ids of the tokens generated so far. */
  readonly generated: number[] = []
  /** Owned by the scheduler that the sequence was submitted to. */
  readonly blocks: KvBlock[] = []
  computed = 0
  /** Prompt tokens found in the cache when it first ran; undefined before. */
  cachedTokens: number | undefined
  place: 'new' | 'waiting' | 'running' | 'gone' = 'new'
  readonly #words: Random
  readonly #listener: SequenceListener
  readonly #hashes: BlockHash[] = []

  constructor({ prompt, outputTokens, random, words, listener }: SequenceParts) {
    this.prompt = prompt
    this.outputTokens = outputTokens
    this.random = random
    this.#words = words
    this.#listener = listener
  }

  get length(): number {
    return this.prompt.length + this.generated.length
  }

  /** One token is all that it lacks, and its prompt is done: it decodes. */
  get decoding(): boolean {
    return this.generated.length > 0 && this.length - this.computed === 1
  }

  /** Takes what the cache has of its tokens, but never all: the last one must be computed to get the next. */
  takePrefix(blocks: KvBlocks): void {
    const { blockTokens } = blocks
    const most = Math.floor((this.length - 1) / blockTokens)
    this.blocks.push(...blocks.takePrefix((block) => this.#hashOf(block, blockTokens), most))
    this.computed = this.blocks.length * blockTokens
    this.cachedTokens ??= this.computed
  }

  /** Tokens up to `end` are computed in this step: full blocks can be shared from now on, in the same step too. */
  advanceTo(end: number, blocks: KvBlocks): void {
    const { blockTokens } = blocks
    for (let block = Math.floor(this.computed / blockTokens); block < Math.floor(end / blockTokens); block += 1) {
      const own = this.blocks[block]
      if (own !== undefined) blocks.complete(own, this.#hashOf(block, blockTokens))
    }
    this.computed = end
  }

  /** All that was computed is lost; the tokens stay. */
  reset(blocks: KvBlocks): void {
    blocks.release(this.blocks)
    this.computed = 0
  }

  /** Generates the next token. True: it was the last. */
  emit(): boolean {
    if (this.generated.length === 0) this.#listener.onPrefilled(this.cachedTokens ?? 0)
    const word = drawWord(this.#words)
    this.generated.push(word.id)
    const last = this.generated.length >= this.outputTokens
    this.#listener.onToken(word.text, last)
    return last
  }

  #hashOf(block: number, blockTokens: number): BlockHash {
    for (let known = this.#hashes.length; known <= block; known += 1) {
      const from = known * blockTokens
      const tokenAt = (index: number) => this.prompt[index] ?? this.generated[index - this.prompt.length] ?? 0
      this.#hashes.push(hashTokens(tokenAt, from, from + blockTokens, this.#hashes[known - 1] ?? 0))
    }
    return this.#hashes[block] ?? 0
  }
}
