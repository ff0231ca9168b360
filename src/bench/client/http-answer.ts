import { TokenmillError } from '../../core/index.ts'

/** Who is told what an answer's bytes mean. Slices belong to the reader's caller and are valid during the call only. */
export interface HttpAnswerHandler {
  /** Names are in lower case; of a field that comes twice the values are joined by ', '. */
  onHead(status: number, fields: ReadonlyMap<string, string>): void
  /** Bytes `start` to `end` of `bytes` are body. */
  onBody(bytes: Buffer, start: number, end: number): void
  /** The whole answer has come. */
  onEnd(): void
}

/** Longest head, and longest line that states a chunk's size. */
const maxHeadBytes = 64 * 1024
const maxSizeLineBytes = 1024

type State = 'head' | 'length' | 'chunkSize' | 'chunkData' | 'chunkEnd' | 'trailers' | 'untilClose' | 'done'

const lineFeed = 0x0a
const carriageReturn = 0x0d
const semicolon = 0x3b
const empty = Buffer.alloc(0)

/**
 * Reads one answer of HTTP/1.1 (RFC 9112) from bytes, however the network cuts them, without copying its body:
 *
 *   head ─┬─ Content-Length ── length ──────────────────────────────────┬─ done
 *         ├─ chunked ── chunkSize ─ chunkData ─ chunkEnd ─ … ─ trailers ─┤
 *         └─ neither ── untilClose ────────── the other side closes ─────┘
 *
 * Interim answers (100 to 199) are skipped. Memory is bounded by the head. Throws `upstream_failed` for what is no
 * HTTP/1.x.
 */
export class HttpAnswerReader {
  readonly #handler: HttpAnswerHandler
  #state: State = 'head'
  #head: Buffer = empty
  /** Of the body, or of the chunk. */
  #bytesLeft = 0
  #sizeDigits = 0
  #lineBytes = 0
  /** The chunk's size has ended; an extension may follow. */
  #afterSize = false
  #keepAlive = false
  #idleMs: number | undefined

  constructor(handler: HttpAnswerHandler) {
    this.#handler = handler
  }

  get done(): boolean {
    return this.#state === 'done'
  }

  /** Whether another request may follow over the same connection; known at the end. */
  get keepAlive(): boolean {
    return this.#state === 'done' && this.#keepAlive
  }

  /** How long the other side keeps an idle connection (Keep-Alive: timeout), where it says so. */
  get idleMs(): number | undefined {
    return this.#idleMs
  }

  /** Takes bytes. Those beyond the answer's end make the connection unfit for another request. */
  push(bytes: Buffer): void {
    let at = 0
    while (at < bytes.length) {
      switch (this.#state) {
        case 'head':
          at = this.#takeHead(bytes, at)
          break
        case 'length':
        case 'chunkData':
          at = this.#takeData(bytes, at)
          break
        case 'chunkSize':
          at = this.#takeSize(bytes, at)
          break
        case 'chunkEnd':
          at = this.#takeChunkEnd(bytes, at)
          break
        case 'trailers':
          at = this.#takeTrailer(bytes, at)
          break
        case 'untilClose':
          this.#handler.onBody(bytes, at, bytes.length)
          at = bytes.length
          break
        case 'done':
          this.#keepAlive = false
          return
      }
    }
  }

  /** The other side has closed. True where that ends the answer rightly. */
  close(): boolean {
    if (this.#state !== 'untilClose') return this.#state === 'done'
    this.#end()
    return true
  }

  #takeHead(bytes: Buffer, from: number): number {
    const before = this.#head.length
    this.#head = before === 0 ? bytes.subarray(from) : Buffer.concat([this.#head, bytes.subarray(from)])
    const end = endOfHead(this.#head, Math.max(0, before - 3))
    if (end < 0) {
      if (this.#head.length > maxHeadBytes)
        throw new TokenmillError('upstream_failed', `the head is longer than ${maxHeadBytes} bytes`)
      // The caller's bytes are reused after this call.
      if (before === 0) this.#head = Buffer.from(this.#head)
      return bytes.length
    }
    const text = this.#head.toString('latin1', 0, end)
    this.#head = empty
    this.#begin(text)
    return from + end - before
  }

  #begin(head: string): void {
    const [statusLine = '', ...lines] = head.trimEnd().split(/\r?\n/)
    const found = /^HTTP\/1\.([01]) ([1-9]\d\d)(?: |$)/.exec(statusLine)
    if (found === null) throw new TokenmillError('upstream_failed', `no HTTP/1.1: '${statusLine.slice(0, 60)}'`)
    const status = Number(found[2])
    if (status === 101) throw new TokenmillError('upstream_failed', 'the server changes the protocol unasked')
    if (status < 200) return
    const fields = parseFields(lines)
    const connection = (fields.get('connection') ?? '').toLowerCase()
    this.#keepAlive = found[1] === '1' ? !connection.includes('close') : connection.includes('keep-alive')
    const seconds = /timeout=(\d+)/i.exec(fields.get('keep-alive') ?? '')?.[1]
    this.#idleMs = seconds === undefined ? undefined : Number(seconds) * 1000
    this.#frame(status, fields)
    this.#handler.onHead(status, fields)
    if (this.#state === 'length' && this.#bytesLeft === 0) this.#end()
  }

  /** How the body's end is known: RFC 9112, section 6.3. */
  #frame(status: number, fields: ReadonlyMap<string, string>): void {
    const coding = fields.get('transfer-encoding')?.toLowerCase()
    const length = fields.get('content-length')
    if (status === 204 || status === 304) this.#bytesLeft = 0
    else if (coding !== undefined) {
      if (coding !== 'chunked') throw new TokenmillError('upstream_failed', `transfer coding '${coding}' is not known`)
      this.#state = 'chunkSize'
      return
    } else if (length === undefined) {
      this.#keepAlive = false
      this.#state = 'untilClose'
      return
    } else {
      if (!/^\d{1,15}$/.test(length))
        throw new TokenmillError('upstream_failed', `Content-Length is '${length.slice(0, 40)}'`)
      this.#bytesLeft = Number(length)
    }
    this.#state = 'length'
  }

  #takeData(bytes: Buffer, from: number): number {
    const end = Math.min(bytes.length, from + this.#bytesLeft)
    this.#bytesLeft -= end - from
    const chunked = this.#state === 'chunkData'
    if (this.#bytesLeft === 0 && chunked) this.#state = 'chunkEnd'
    this.#handler.onBody(bytes, from, end)
    if (this.#bytesLeft === 0 && !chunked) this.#end()
    return end
  }

  #takeSize(bytes: Buffer, from: number): number {
    for (let at = from; at < bytes.length; at += 1) {
      const byte = bytes[at] ?? 0
      if (byte === lineFeed) {
        if (this.#sizeDigits === 0) throw new TokenmillError('upstream_failed', 'a chunk has no size')
        this.#state = this.#bytesLeft === 0 ? 'trailers' : 'chunkData'
        this.#sizeDigits = 0
        this.#lineBytes = 0
        this.#afterSize = false
        return at + 1
      }
      this.#lineBytes += 1
      const digit = hexDigit(byte)
      if (digit >= 0 && !this.#afterSize) {
        this.#bytesLeft = this.#bytesLeft * 16 + digit
        this.#sizeDigits += 1
      } else if (byte === semicolon || byte === carriageReturn || byte === 0x20 || byte === 0x09) this.#afterSize = true
      else if (!this.#afterSize) throw new TokenmillError('upstream_failed', 'a chunk’s size is no hexadecimal number')
      if (this.#sizeDigits > 12 || this.#lineBytes > maxSizeLineBytes)
        throw new TokenmillError('upstream_failed', 'a chunk’s size line is too long')
    }
    return bytes.length
  }

  #takeChunkEnd(bytes: Buffer, from: number): number {
    const byte = bytes[from]
    if (byte === lineFeed) this.#state = 'chunkSize'
    else if (byte !== carriageReturn) throw new TokenmillError('upstream_failed', 'a chunk is longer than its size')
    return from + 1
  }

  /** Trailer fields are skipped; an empty line ends them. */
  #takeTrailer(bytes: Buffer, from: number): number {
    for (let at = from; at < bytes.length; at += 1) {
      const byte = bytes[at]
      if (byte === lineFeed) {
        if (this.#lineBytes === 0) {
          this.#end()
          return at + 1
        }
        this.#lineBytes = 0
      } else if (byte !== carriageReturn) this.#lineBytes += 1
      if (this.#lineBytes > maxHeadBytes) throw new TokenmillError('upstream_failed', 'a trailer is too long')
    }
    return bytes.length
  }

  #end(): void {
    this.#state = 'done'
    this.#handler.onEnd()
  }
}

/** Where the head ends, its empty line included; −1 where it has not. Lines may end by a bare LF. */
function endOfHead(bytes: Buffer, from: number): number {
  for (let at = bytes.indexOf(lineFeed, from); at >= 0; at = bytes.indexOf(lineFeed, at + 1)) {
    if (bytes[at + 1] === lineFeed) return at + 2
    if (bytes[at + 1] === carriageReturn && bytes[at + 2] === lineFeed) return at + 3
  }
  return -1
}

function parseFields(lines: readonly string[]): Map<string, string> {
  const fields = new Map<string, string>()
  for (const line of lines) {
    const split = line.indexOf(':')
    if (split <= 0) throw new TokenmillError('upstream_failed', `no header field: '${line.slice(0, 60)}'`)
    const name = line.slice(0, split).trim().toLowerCase()
    const value = line.slice(split + 1).trim()
    const before = fields.get(name)
    fields.set(name, before === undefined ? value : `${before}, ${value}`)
  }
  return fields
}

function hexDigit(byte: number): number {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30
  const letter = byte | 0x20
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : -1
}
