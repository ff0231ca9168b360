import type { Batch, PaddingRow } from './llama-batch.ts'

/**
 * Rows that a pass computes for nothing, because it takes less time with them. On the CPU, libllama multiplies quantized
 * weights by four rows at once and by each row that is left over alone, and such a product reads all weights again: 160 million
 * parameters on two threads take 10.8 ms for three streams and 5.9 for four, 19.8 for fifteen and 13.9 for sixteen, 34 for a
 * prompt of 31 tokens and 20 for one of 32 (ggml/src/ggml-cpu/repack.cpp).
 *
 * A prompt is padded behind its end, decoding streams by a token in the streams beside them; both are cut off again afterwards.
 * Whether it pays is measured when a model is loaded, for it depends on the weights' type and on what computes.
 */
export interface Padding {
  readonly front: readonly PaddingRow[]
  readonly back: readonly PaddingRow[]
}

/** What padding must know of the memory. */
export interface StreamLengths {
  readonly streams: number
  readonly sequenceCells: number
  /** Tokens that the stream holds. */
  lengthOf(stream: number): number
}

/** None. */
export const noPadding: Padding = { front: [], back: [] }

/** Rows that are multiplied at once, where that is so. */
export const rowsAtOnce = 4
/** Most rows of padding. */
export const mostPadding = 2

/** Padding for a prompt's next tokens. */
export function padPrompt({ count, stream, position }: Batch, lengths: StreamLengths): Padding {
  const missing = missingRows(count)
  const end = (position[count - 1] ?? 0) + 1
  if (missing === 0 || end + missing > lengths.sequenceCells) return noPadding
  const back = Array.from({ length: missing }, (_, at) => ({ stream: stream[0] ?? 0, position: end + at }))
  return { front: [], back }
}

/** Padding for one token of each of several streams, which must lie side by side. */
export function padStreams({ count, stream }: Batch, lengths: StreamLengths): Padding {
  const missing = missingRows(count)
  const [first = 0, last = 0] = [stream[0], stream[count - 1]]
  if (missing === 0 || last - first + 1 !== count) return noPadding
  const rowIn = (candidate: number): PaddingRow[] => {
    if (candidate < 0 || candidate >= lengths.streams) return []
    const position = lengths.lengthOf(candidate)
    return position < lengths.sequenceCells ? [{ stream: candidate, position }] : []
  }
  const back = rowIn(last + 1)
  if (missing > 1 && back.length === 1) back.push(...rowIn(last + 2))
  const front: PaddingRow[] = []
  for (let at = first - 1; back.length + front.length < missing; at -= 1) {
    const row = rowIn(at)
    if (row.length === 0) return noPadding
    front.unshift(...row)
  }
  return { front, back }
}

/** One row left over costs what four more would; from two on, four are cheaper, but for two alone. */
function missingRows(rows: number): number {
  const rest = rows % rowsAtOnce
  return rest >= 2 && rows > 2 ? rowsAtOnce - rest : 0
}
