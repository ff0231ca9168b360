import type { JobSampling } from '../messages.ts'

/**
 * What the step loop needs from whatever computes: libllama (native/llama-backend.ts), or a fake in tests.
 *
 * A *stream* is a place for one sequence's KV cells. Streams hold what they hold until they are truncated, cleared or
 * copied over; the loop (through KvCache) decides what lives where.
 */
export interface Backend {
  readonly shape: BackendShape
  /**
   * Computes the chunks, whose streams ascend, in one pass over the weights with an adapter, as `Job.adapter` counts them.
   * `full`: no free KV cell for them, and nothing changed. Throws where the context is lost; the process ends then, and
   * its parent starts another.
   */
  decode(chunks: readonly Chunk[], adapter: number): 'computed' | 'full'
  /** Where the logits of the token `at` of chunk `chunk` are, valid until the next `decode`. */
  rowOf(chunk: number, at: number): Row
  createSampler(spec: SamplerSpec): Sampler
  /** Raw logits, valid until the next `decode`. */
  logits(row: Row): Float32Array
  /** The first `length` tokens of stream `from` become the content of stream `to`. False: not possible, `to` is empty. */
  copy(from: number, to: number, length: number): boolean
  /** Drops all tokens from position `length` on. False: this memory cannot, and the stream is now empty. */
  truncate(stream: number, length: number): boolean
  clear(stream: number): void
  /** Exchanges the contents of two streams. */
  swap(one: number, other: number): void
  /** Whether the stream still holds every position from 0 on (sliding windows may have dropped some). */
  isWhole(stream: number): boolean
}

/** The next tokens of one sequence, to be computed behind what its stream holds. */
export interface Chunk {
  readonly stream: number
  /** All of the sequence's tokens; those at [from, from + count) are computed. */
  readonly tokens: Int32Array
  readonly from: number
  readonly count: number
  /** Whose logits are wanted. */
  readonly logits: 'none' | 'last' | 'all'
}

/** A token's place in the last pass, as the backend numbers them. */
export type Row = number

export interface BackendShape {
  /** Sequences that can hold KV cells at once. */
  readonly streams: number
  /** Most tokens of one sequence. */
  readonly sequenceCells: number
  /** KV cells in all. */
  readonly cells: number
  /** Most tokens of one `decode`. */
  readonly batchTokens: number
  readonly vocabulary: number
  /** Streams of a batch are computed together only where their numbers are consecutive. */
  readonly wantsDenseStreams: boolean
  /** `whole`: a state can be copied but not cut (recurrent and hybrid models). */
  readonly reuse: 'any' | 'whole'
}

export interface Sampler {
  /** Draws a token from the logits there and remembers it. */
  sample(row: Row): number
  free(): void
}

/** A request's grammar is not one, or no token fits it. Thrown by `createSampler` and `sample`; fails that request alone. */
export class GrammarError extends Error {
  override readonly name = 'GrammarError'
}

/** Everything that decides which token follows, for one sequence. */
export interface SamplerSpec extends JobSampling {
  /** The prompt, which the repetition penalty sees too. */
  readonly prompt: Int32Array
}

/** Texts of tokens, and which of them end a generation. */
export interface Vocabulary {
  /** The token's bytes: maybe a part of a character, maybe none. `special`: whether control tokens have text. */
  piece(token: number, special: boolean): Uint8Array
  isEndOfGeneration(token: number): boolean
}
