import type { LlamaModel } from './llama-model.ts'
import { LlamaVocabulary } from './llama-vocabulary.ts'

/**
 * The tokens of a vocabulary by the first two bytes of their text.
 *
 *   tokens   sorted by bucket            bucket = 257 · first byte + (0: no second byte │ 1 + second byte)
 *   starts   of each bucket, one more at the end
 *
 * Tokens without text are nowhere: no grammar allows them. Nor are those that end a generation: they are allowed where
 * the grammar is complete, whatever their text.
 *
 * Making it takes some hundred milliseconds for 128,000 tokens: while a model loads, for later streams would wait.
 */
export class FirstBytes {
  readonly ends: Int32Array
  /** Tokens whose text is one byte: where a grammar forbids one, it forbids all that begin with that byte. */
  readonly singles: Int32Array
  /** First byte of each token's text; −1 for ends and tokens without text. */
  readonly firstByteOf: Int16Array
  readonly #tokens: Int32Array
  readonly #starts: Int32Array
  /** Bytes of the longest text. */
  readonly longest: number
  readonly #singleOf = new Int32Array(256).fill(-1)
  /** Bytes that begin some text and are no token of their own: their groups have to be tried whole. */
  readonly unsettled: readonly number[]

  constructor(model: LlamaModel) {
    const vocabulary = new LlamaVocabulary(model)
    const size = model.facts.vocabularySize
    const ends: number[] = []
    const buckets = new Int32Array(size).fill(-1)
    this.firstByteOf = new Int16Array(size).fill(-1)
    let longest = 1
    for (let token = 0; token < size; token += 1) {
      const piece = vocabulary.piece(token, true)
      longest = Math.max(longest, piece.length)
      if (vocabulary.isEndOfGeneration(token)) {
        ends.push(token)
        continue
      }
      const [first, second] = piece
      if (first === undefined) continue
      this.firstByteOf[token] = first
      buckets[token] = first * 257 + (second === undefined ? 0 : 1 + second)
      if (second === undefined) this.#singleOf[first] = token
    }
    this.longest = longest
    this.ends = Int32Array.from(ends)
    this.singles = this.#singleOf.filter((token) => token >= 0)
    this.#starts = startsOf(buckets)
    const next = this.#starts.slice()
    this.#tokens = new Int32Array(this.#starts.at(-1) ?? 0)
    for (const [token, bucket] of buckets.entries()) {
      if (bucket < 0) continue
      this.#tokens[next[bucket] as number] = token
      next[bucket] = (next[bucket] as number) + 1
    }
    this.unsettled = Array.from({ length: 256 }, (_, byte) => byte).filter(
      (byte) => this.single(byte) === undefined && this.group(byte).length > 0,
    )
  }

  /** The token that is this byte alone. */
  single(byte: number): number | undefined {
    const token = this.#singleOf[byte] as number
    return token < 0 ? undefined : token
  }

  /** Tokens that begin with the byte, itself included. */
  group(first: number): Int32Array {
    return this.#between(first * 257, (first + 1) * 257)
  }

  /** Tokens that begin with both bytes. */
  pair(first: number, second: number): Int32Array {
    return this.#between(first * 257 + 1 + second, first * 257 + 2 + second)
  }

  #between(from: number, to: number): Int32Array {
    return this.#tokens.subarray(this.#starts[from], this.#starts[to])
  }
}

function startsOf(buckets: Int32Array): Int32Array {
  const starts = new Int32Array(256 * 257 + 1)
  for (const bucket of buckets) if (bucket >= 0) starts[bucket + 1] = (starts[bucket + 1] as number) + 1
  for (let at = 1; at < starts.length; at += 1) starts[at] = (starts[at] as number) + (starts[at - 1] as number)
  return starts
}
