import type { JobSampling } from '../messages.ts'

/**
 * What the step loop needs from whatever computes: libllama (native/llama-backend.ts), or a fake in tests.
 *
 * A *stream* is a place for one sequence's KV cells. Streams hold what they hold until they are truncated, cleared or
 * copied over; the loop (through KvCache) decides what lives where.
 */
export interface Backend {
  readonly shape: BackendShape
  /** The arrays of the next `decode`. Filled by the loop, consumed by `decode`. */
  readonly batch: Batch
  /** The adapter that the next `decode` computes with, as `Job.adapter` counts them. A batch has one. */
  useAdapter(adapter: number): void
  /**
   * Computes the batch; `singles`: one token of each of its sequences, as most steps do. `full`: no free KV cell for
   * it, and nothing changed. Throws where the context is lost; the
   * process ends then, and its parent starts another.
   */
  decode(singles: boolean): 'computed' | 'full'
  createSampler(spec: SamplerSpec): Sampler
  /** Raw logits of batch row `row`, valid until the next `decode`. */
  logits(row: number): Float32Array
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
  /** Draws a token from batch row `row` and remembers it. */
  sample(row: number): number
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

/**
 * The arrays of one `llama_batch`, filled from the left:
 *
 *   token     17  4   9   88  23  …
 *   position  31  12  0   1   2   …
 *   stream    0   1   2   2   2   …     ascending, so that libllama computes streams side by side
 *   output    1   1   0   0   1   …     whose logits are wanted
 *             └ decode ┘  └ prefill ┘
 */
export interface Batch {
  count: number
  readonly token: Int32Array
  readonly position: Int32Array
  readonly stream: Int32Array
  readonly output: Int8Array
}
