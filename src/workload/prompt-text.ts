import { createRandom, type Random } from '../core/index.ts'
import { deriveSeed } from './sampling.ts'
import { words as defaultWords } from './words.ts'

/** How many tokens a word costs, so that texts of a wanted number of tokens can be written. */
export interface WordTokens {
  /** Words that cost about the same each. */
  readonly words: readonly string[]
  /** Tokens that each costs, the blank before it included. */
  readonly tokensPerWord: number
}

/** One token a word: what common vocabularies come close to. An estimate, to be labelled so. */
export const plainWordTokens: WordTokens = { words: defaultWords, tokensPerWord: 1 }

/**
 * Writes texts of wanted lengths. The same seed gives the same texts. A text opens with words that spell its
 * stream's number and goes on at random, so that texts of different streams part within their first words.
 */
export class PromptText {
  readonly #seed: number
  readonly #tokens: WordTokens

  constructor(seed: number, tokens: WordTokens) {
    this.#seed = seed
    this.#tokens = tokens
  }

  /** Words for a number of tokens, at least one. */
  wordCount(tokens: number): number {
    return Math.max(1, Math.round(tokens / this.#tokens.tokensPerWord))
  }

  /** A text of about `tokens` tokens that parts from every other stream's within its first words. */
  unique(stream: number, tokens: number): string {
    return this.#write(stream, this.wordCount(tokens), 0x75)
  }

  /** The text of shared prefix number `stream`. */
  shared(stream: number, tokens: number): string {
    return this.#write(stream, this.wordCount(tokens), 0x73)
  }

  /**
   * A prompt made of blocks: equal ids give equal text, different ids differ within their first words. Every
   * block but the last has `blockTokens`; the last has what is left of `promptTokens`. Blocks are cut at equal
   * numbers of words, so that a shared run of blocks is a shared prefix of exactly its words.
   */
  blocks(ids: readonly number[], promptTokens: number, blockTokens: number): string {
    const wordsPerBlock = this.wordCount(blockTokens)
    let left = this.wordCount(promptTokens)
    const parts: string[] = []
    for (const id of ids) {
      if (left <= 0) break
      const count = Math.min(wordsPerBlock, left)
      parts.push(this.#write(id, count, 0x62))
      left -= count
    }
    // A trace may name fewer blocks than its length needs: the rest belongs to this request alone.
    if (left > 0) parts.push(this.#write(hashOf(ids), left, 0x72))
    return parts.join(' ')
  }

  #write(stream: number, count: number, kind: number): string {
    const { words } = this.#tokens
    const random = createRandom(deriveSeed(this.#seed ^ (kind << 24), stream))
    const written: string[] = []
    for (let rest = stream; written.length < count; rest = Math.floor(rest / words.length)) {
      written.push(words[(rest + kind * 7) % words.length] ?? '')
      if (rest < words.length) break
    }
    while (written.length < count) written.push(pick(words, random))
    return written.join(' ')
  }
}

function pick(words: readonly string[], random: Random): string {
  return words[Math.floor(random() * words.length)] ?? ''
}

function hashOf(ids: readonly number[]): number {
  return ids.reduce((hash, id) => deriveSeed(hash, id), ids.length)
}
