import { upstreamTooLarge } from './upstream-error.ts'

/**
 * Cuts a stream of bytes into server-sent-event frames: each goes out whole, with the blank line that ends it, as
 * the bytes it came in. A frame within one chunk is a view of that chunk; only one that crosses chunks is copied.
 *
 * Lines end in LF or CRLF (a lone CR, which the standard allows too, no engine sends). Characters may be cut anywhere:
 * nothing is decoded here.
 */
export class SseFrameCutter {
  readonly #maxFrameBytes: number
  /** Pieces of a frame whose end has not come. */
  #pieces: Buffer[] = []
  #heldBytes = 0
  /** How the held bytes end: 0 inside a line, 1 after its LF, 2 after its LF and a CR. */
  #ending = 0

  constructor(maxFrameBytes: number) {
    this.#maxFrameBytes = maxFrameBytes
  }

  /** Bytes held because their frame has not ended. */
  get heldBytes(): number {
    return this.#heldBytes
  }

  /** Takes a chunk and calls back for each frame it completes. Throws `upstream_failed` for a frame past the limit. */
  push(chunk: Uint8Array, onFrame: (frame: Buffer) => void): void {
    const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength)
    let from = 0
    let at = this.#heldBytes === 0 ? -1 : this.#endOfHeld(bytes)
    for (;;) {
      if (at < 0) at = endOfFrame(bytes, from, from > 0 || this.#heldBytes === 0)
      if (at < 0) break
      const piece = from === 0 && at === bytes.length ? bytes : bytes.subarray(from, at)
      this.#check(this.#heldBytes + piece.length)
      onFrame(this.#join(piece))
      from = at
      at = -1
      if (from === bytes.length) return
    }
    const rest = from === 0 ? bytes : bytes.subarray(from)
    if (rest.length === 0) return
    this.#check(this.#heldBytes + rest.length)
    this.#ending = endingOf(rest, this.#ending)
    this.#pieces.push(rest)
    this.#heldBytes += rest.length
  }

  /** What came after the last complete frame; empty at a clean end. Empties the cutter. */
  rest(): Buffer {
    return this.#join(Buffer.alloc(0))
  }

  /** Does the blank line that ends the held frame lie on the border of this chunk? */
  #endOfHeld(bytes: Buffer): number {
    if (this.#ending === 0) return -1
    if (bytes[0] === lineFeed) return 1
    if (this.#ending === 1 && bytes[0] === carriageReturn && bytes[1] === lineFeed) return 2
    return -1
  }

  #join(last: Buffer): Buffer {
    if (this.#heldBytes === 0) return last
    const frame = Buffer.concat([...this.#pieces, last])
    this.#pieces = []
    this.#heldBytes = 0
    this.#ending = 0
    return frame
  }

  #check(bytes: number): void {
    if (bytes <= this.#maxFrameBytes) return
    this.#pieces = []
    this.#heldBytes = 0
    this.#ending = 0
    throw upstreamTooLarge('An event of the upstream', 'maxSseFrameBytes', this.#maxFrameBytes, bytes)
  }
}

const lineFeed = 0x0a
const carriageReturn = 0x0d

/** Offset past the first blank line at or after `from`; −1 where there is none. */
function endOfFrame(bytes: Buffer, from: number, atFrameStart: boolean): number {
  if (atFrameStart) {
    // A blank line too many is a frame without fields: harmless, passed on as it is.
    if (bytes[from] === lineFeed) return from + 1
    if (bytes[from] === carriageReturn && bytes[from + 1] === lineFeed) return from + 2
  }
  let at = from
  for (;;) {
    at = bytes.indexOf(lineFeed, at)
    if (at < 0) return -1
    if (bytes[at + 1] === lineFeed) return at + 2
    if (bytes[at + 1] === carriageReturn && bytes[at + 2] === lineFeed) return at + 3
    at += 1
  }
}

function endingOf(piece: Buffer, before: number): number {
  const last = piece[piece.length - 1]
  if (last === lineFeed) return 1
  if (last !== carriageReturn) return 0
  if (piece.length === 1) return before === 1 ? 2 : 0
  return piece[piece.length - 2] === lineFeed ? 2 : 0
}
