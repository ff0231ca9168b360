import { limitError } from '../core/index.ts'

/** One server-sent event, as the HTML standard defines it (section 9.2, "Server-sent events"). */
export interface SseEvent {
  /** The `data` lines joined by line feeds. Never empty of lines: an event without data is not dispatched. */
  readonly data: string
  /** The `event` field; undefined where the stream sent none. */
  readonly event: string | undefined
  /** The `id` field of this event; undefined where the stream sent none. */
  readonly id: string | undefined
}

export interface SseReaderOptions {
  /** Most bytes that one event may hold before its blank line; beyond it `push` throws `limit_exceeded`. */
  readonly maxEventBytes: number
}

const lineFeed = 0x0a
const carriageReturn = 0x0d
const colon = 0x3a
const space = 0x20

/**
 * Reads server-sent events from bytes, however the network cuts them. Lines end with LF, CR or CRLF; a byte order
 * mark at the start is skipped; comments and unknown fields are ignored.
 *
 *   push(bytes) → events completed by them        rest of an unfinished line waits in #pending
 *
 * Memory is bounded by `maxEventBytes`. The reader owns copies of what it keeps: a pushed buffer may be reused.
 */
export class SseReader {
  readonly #maxEventBytes: number
  /** Bytes of the unfinished line. */
  #pending: Buffer = empty
  /** The last byte seen was CR: a following LF belongs to the same line end. */
  #afterCarriageReturn = false
  #atStart = true
  #data: string | undefined
  #event: string | undefined
  #id: string | undefined
  /** Bytes of the unfinished event, ended lines included. */
  #eventBytes = 0
  #comments = 0

  constructor(options: SseReaderOptions) {
    this.#maxEventBytes = options.maxEventBytes
  }

  /** Comment lines seen so far: keep-alives, usually. */
  get comments(): number {
    return this.#comments
  }

  /** True while bytes of an unfinished event are held: at the end of a body it was cut. */
  get unfinished(): boolean {
    return this.#pending.length > 0 || this.#data !== undefined
  }

  /** Takes bytes and calls back for each event that they complete, in order. Throws `limit_exceeded`. */
  push(bytes: Uint8Array, onEvent: (event: SseEvent) => void): void {
    const chunk = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    let lineStart = 0
    for (let at = 0; at < chunk.length; at += 1) {
      const byte = chunk[at]
      if (byte !== lineFeed && byte !== carriageReturn) {
        this.#afterCarriageReturn = false
        continue
      }
      if (byte === lineFeed && this.#afterCarriageReturn) {
        this.#afterCarriageReturn = false
        lineStart = at + 1
        continue
      }
      this.#afterCarriageReturn = byte === carriageReturn
      this.#takeLine(this.#joined(chunk.subarray(lineStart, at)), onEvent)
      lineStart = at + 1
    }
    const rest = chunk.subarray(lineStart)
    if (rest.length > 0) {
      this.#checkSize(this.#pending.length + rest.length)
      this.#pending = Buffer.concat([this.#pending, rest])
    }
  }

  #joined(tail: Buffer): Buffer {
    if (this.#pending.length === 0) return tail
    const line = Buffer.concat([this.#pending, tail])
    this.#pending = empty
    return line
  }

  #takeLine(bytes: Buffer, onEvent: (event: SseEvent) => void): void {
    let line = bytes
    if (this.#atStart) {
      this.#atStart = false
      if (line[0] === 0xef && line[1] === 0xbb && line[2] === 0xbf) line = line.subarray(3)
    }
    if (line.length === 0) {
      this.#dispatch(onEvent)
      return
    }
    this.#checkSize(line.length)
    this.#eventBytes += line.length
    const split = line.indexOf(colon)
    if (split === 0) {
      this.#comments += 1
      this.#eventBytes -= line.length
      return
    }
    const name = (split < 0 ? line : line.subarray(0, split)).toString('utf8')
    const valueStart = split < 0 ? line.length : line[split + 1] === space ? split + 2 : split + 1
    const value = line.subarray(valueStart).toString('utf8')
    if (name === 'data') this.#data = this.#data === undefined ? value : `${this.#data}\n${value}`
    else if (name === 'event') this.#event = value
    else if (name === 'id' && !value.includes('\0')) this.#id = value
  }

  #dispatch(onEvent: (event: SseEvent) => void): void {
    const data = this.#data
    const event = this.#event
    const id = this.#id
    this.#data = undefined
    this.#event = undefined
    this.#id = undefined
    this.#eventBytes = 0
    if (data !== undefined) onEvent({ data, event, id })
  }

  #checkSize(more: number): void {
    const actual = this.#eventBytes + more
    if (actual <= this.#maxEventBytes) return
    throw limitError(
      { name: 'maxEventBytes', maximum: this.#maxEventBytes, unit: 'bytes' },
      actual,
      'A server-sent event',
      'The sender must end its events with a blank line, or the limit must be raised.',
    )
  }
}

const empty = Buffer.alloc(0)
