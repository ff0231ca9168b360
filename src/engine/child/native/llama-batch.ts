import koffi from 'koffi'
import type { Chunk } from '../backend.ts'

/** A token that is computed for nothing: see row-padding.ts. */
export interface PaddingRow {
  readonly stream: number
  readonly position: number
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

/**
 * The arrays of one `llama_batch` in native memory. `load` fills `rows`; padding goes in front of them and behind:
 *
 *   front … │ rows … │ back …        `native` describes any such stretch; `seq_id[i]` points into `stream`
 */
export class LlamaBatch {
  readonly rows: Batch
  readonly #front: number
  readonly #all: Omit<Batch, 'count'>
  readonly #pointers: Readonly<Record<Field, bigint>>

  /** Room for `mostRows` of the loop's, and `mostPadding` rows on each side of them. */
  constructor(mostRows: number, mostPadding: number) {
    const size = mostRows + 2 * mostPadding
    const alloc = (type: string, bytes: number) => {
      const pointer = koffi.alloc(type, size) as bigint
      return { pointer, view: koffi.view(pointer, size * bytes) }
    }
    const int32 = () => alloc('int32_t', 4)
    const [token, position, stream, sequences] = [int32(), int32(), int32(), int32()]
    const [streamPointers, output] = [alloc('uint64_t', 8), alloc('int8_t', 1)]
    new Int32Array(sequences.view).fill(1)
    const pointers = new BigUint64Array(streamPointers.view)
    for (let at = 0; at < size; at += 1) pointers[at] = stream.pointer + BigInt(at * 4)
    this.#front = mostPadding
    this.#all = {
      token: new Int32Array(token.view),
      position: new Int32Array(position.view),
      stream: new Int32Array(stream.view),
      output: new Int8Array(output.view),
    }
    this.#pointers = {
      token: token.pointer,
      pos: position.pointer,
      n_seq_id: sequences.pointer,
      seq_id: streamPointers.pointer,
      logits: output.pointer,
    }
    const { token: tokens, position: positions, stream: streams, output: outputs } = this.#all
    this.rows = {
      count: 0,
      token: tokens.subarray(mostPadding),
      position: positions.subarray(mostPadding),
      stream: streams.subarray(mostPadding),
      output: outputs.subarray(mostPadding),
    }
  }

  /** Fills the rows with the chunks; `firstRows` becomes the first row of each. */
  load(chunks: readonly Chunk[], firstRows: number[]): void {
    const { rows } = this
    rows.count = 0
    firstRows.length = 0
    for (const { stream, tokens, from, count, logits } of chunks) {
      const first = rows.count
      firstRows.push(first)
      for (let at = 0; at < count; at += 1) {
        rows.token[first + at] = tokens[from + at] as number
        rows.position[first + at] = from + at
        rows.stream[first + at] = stream
        rows.output[first + at] = logits === 'all' ? 1 : 0
      }
      if (logits === 'last') rows.output[first + count - 1] = 1
      rows.count += count
    }
  }

  /** The `llama_batch` of the loop's rows between these. `wantsLogits`: of the padding, too, so that its last product is padded as well. */
  native(
    front: readonly PaddingRow[],
    back: readonly PaddingRow[],
    wantsLogits: boolean,
  ): Readonly<Record<string, unknown>> {
    const first = this.#front - front.length
    const end = this.#front + this.rows.count
    for (const [at, row] of front.entries()) this.#fill(first + at, row, wantsLogits)
    for (const [at, row] of back.entries()) this.#fill(end + at, row, wantsLogits)
    const from = (name: Field, bytes: number) => this.#pointers[name] + BigInt(first * bytes)
    return {
      n_tokens: end + back.length - first,
      token: from('token', 4),
      embd: null,
      pos: from('pos', 4),
      n_seq_id: from('n_seq_id', 4),
      seq_id: from('seq_id', 8),
      logits: from('logits', 1),
    }
  }

  #fill(at: number, { stream, position }: PaddingRow, wantsLogits: boolean): void {
    this.#all.token[at] = 0
    this.#all.position[at] = position
    this.#all.stream[at] = stream
    this.#all.output[at] = wantsLogits ? 1 : 0
  }
}

/** Of `struct llama_batch`, as llama.h names them. */
type Field = 'token' | 'pos' | 'n_seq_id' | 'seq_id' | 'logits'
