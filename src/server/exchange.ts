import type { EventEmitter } from 'node:events'
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http'
import { onAbort, throwIfAborted, TokenmillError, toTokenmillError, type Clock } from '../core/index.ts'
import { toPublicError, type AnswerFraming, type Protocol } from '../protocol/index.ts'
import type { RequestAccount } from '../telemetry/index.ts'
import { readBody } from './body.ts'
import { outletOf, writeChunk, writeChunkBytes } from './chunk-writer.ts'

export interface ExchangeLimits {
  readonly maxBodyBytes: number
  readonly headerFlushMs: number
  readonly pingIntervalMs: number
  readonly maxWriteStallMs: number
}

export interface ExchangeContext {
  readonly id: string
  readonly account: RequestAccount
  /** The client's, in which errors are told. */
  readonly protocol: Protocol
  readonly clock: Clock
  readonly limits: ExchangeLimits
  /** The server is to end: connections close behind their answers. */
  readonly draining: () => boolean
  /** Told of errors that are ours: failures inside, never the client's mistakes. */
  readonly onFailure: (error: TokenmillError, requestId: string) => void
  /** Told of errors whose words clients do not get, since they name or quote an endpoint; undefined: clients get them. */
  readonly onHidden: ((error: TokenmillError, requestId: string) => void) | undefined
}

/**
 * One request and its answer on a socket: the AbortSignal tied to it, the body, the head, the bytes, and the one end.
 *
 *   waiting ──first write, headerFlushMs, or end──▶ open ──end() or fail()──▶ ended
 *
 * While waiting, an error still gets its own status. All text of one turn of the event loop goes out in one write.
 * Closing the socket aborts the signal; the work for the request unwinds, and `run` settles the account.
 */
export class Exchange {
  readonly id: string
  readonly account: RequestAccount
  readonly #request: IncomingMessage
  readonly #response: ServerResponse
  readonly #context: ExchangeContext
  readonly #abort = new AbortController()
  #state: 'waiting' | 'open' | 'ended' = 'waiting'
  #running = false
  /** Names and values in turn, as writeHead takes them fastest. */
  readonly #headers: string[]
  #framing: AnswerFraming
  #pending = ''
  /** Bytes of this turn; never at the same time as text. */
  #pendingBytes: Buffer[] = []
  #flushScheduled = false
  #stopKeepAlive: (() => void) | undefined
  #lastWriteMs = 0

  constructor(request: IncomingMessage, response: ServerResponse, context: ExchangeContext) {
    this.id = context.id
    this.account = context.account
    this.#request = request
    this.#response = response
    this.#context = context
    this.#framing = context.protocol.framing(false)
    this.#headers = ['x-request-id', context.id]
    response.once('close', this.#closed)
  }

  get headers(): IncomingHttpHeaders {
    return this.#request.headers
  }

  /** Aborts when the client leaves, and when the server gives the request up; the reason is a TokenmillError. */
  get signal(): AbortSignal {
    return this.#abort.signal
  }

  /** The client reads slower than we write: `drained` before more is asked of the engine. */
  get congested(): boolean {
    return outletOf(this.#response).writableNeedDrain
  }

  /** The request's body, at most `maxBodyBytes`. Throws `limit_exceeded`, and `cancelled` when the client leaves. */
  body(): Promise<Buffer> {
    return readBody(this.#request, this.#context.limits.maxBodyBytes)
  }

  /** Sets a header of the answer's head; another attempt, or another prompt, replaces what an earlier one set. */
  setHeader(name: string, value: string): void {
    const headers = this.#headers
    for (let at = 0; at < headers.length; at += 2) {
      if (headers[at] !== name) continue
      headers[at + 1] = value
      return
    }
    headers.push(name, value)
  }

  /** Gives the request up: what runs for it is cancelled, and the client is told `error`. */
  abort(error: TokenmillError): void {
    this.#abort.abort(error)
  }

  /** Does the request's work, answers with an error if it fails, and settles the account in every case. */
  async run(work: () => Promise<void>): Promise<void> {
    this.#running = true
    try {
      await work()
      this.account.settle()
    } catch (thrown) {
      // An abort surfaces as whatever the interrupted wait throws; its reason says what happened.
      const reason: unknown = this.signal.aborted ? this.signal.reason : thrown
      this.fail(toTokenmillError(reason))
    }
  }

  /**
   * The request is admitted: from here on keep-alives are written. A stream opens its head after headerFlushMs even if
   * nothing came; before that an error keeps its own status, however long the request waited.
   */
  begin(stream: boolean): void {
    this.#framing = this.#context.protocol.framing(stream)
    const { headerFlushMs, pingIntervalMs } = this.#context.limits
    this.#scheduleKeepAlive(stream ? headerFlushMs : pingIntervalMs)
  }

  /** Queues text; it leaves with all other text of this turn. */
  write(text: string): void {
    if (this.#state === 'ended') return
    this.#flushBytes()
    this.#pending += text
    this.#scheduleFlush()
  }

  /** Queues bytes; they leave with all others of this turn: one read from an upstream brings many events. */
  writeBytes(bytes: Buffer): void {
    if (this.#state === 'ended') return
    if (this.#pending !== '') this.#flush()
    this.#pendingBytes.push(bytes)
    this.#scheduleFlush()
  }

  /** Resolves once the client has read enough. Throws `cancelled` when it left, or did not read for maxWriteStallMs. */
  async drained(): Promise<void> {
    throwIfAborted(this.signal)
    if (this.congested) await this.#until(outletOf(this.#response), 'drain')
  }

  /** Writes the rest and ends. Resolves once the last byte is with the operating system. */
  async end(rest: string | Buffer): Promise<void> {
    throwIfAborted(this.signal)
    if (typeof rest === 'string') {
      this.#flushBytes()
      const text = this.#pending + rest
      this.#pending = ''
      this.#endWith(text, 'utf8', Buffer.byteLength(text))
    } else {
      this.#flush()
      // As text, head and body are one string and one write; each byte is one character.
      if (rest.length <= maxTextBytes) this.#endWith(rest.toString('latin1'), 'latin1', rest.length)
      else this.#endWith(rest, 'latin1', rest.length)
    }
    await this.#written()
  }

  /** Answers with an error, in whatever form is still possible, and settles the account. */
  fail(error: TokenmillError): void {
    const told = this.account.outputStarted ? withOutputStarted(error) : error
    if (error.code === 'internal' || error.code === 'engine_failed') this.#context.onFailure(error, this.id)
    if (this.#state !== 'ended' && !this.#response.destroyed) this.#tell(this.#hide(told))
    this.account.settle(error)
  }

  #hide(error: TokenmillError): TokenmillError {
    const { onHidden } = this.#context
    const told = onHidden === undefined ? error : toPublicError(error, this.id)
    if (told !== error) onHidden?.(error, this.id)
    return told
  }

  #tell(error: TokenmillError): void {
    this.#flushBytes()
    if (this.#state === 'waiting') {
      const reply = this.#context.protocol.errorReply(error)
      const body = JSON.stringify(reply.body)
      for (const [name, value] of Object.entries(reply.headers)) this.#headers.push(name, value)
      // An unread rest of the body would be taken for the next request.
      const unread = !this.#request.complete
      this.#openHead('application/json', reply.status, Buffer.byteLength(body), unread)
      this.#finish()
      this.#response.end(body)
      return
    }
    const text = this.#pending + this.#framing.error(error)
    this.#finish()
    if (this.#framing.carriesErrors) this.#response.end(text)
    // The head promised a success that this is not: only a cut connection tells every client so.
    else this.#response.write(text, () => this.#response.destroy())
  }

  readonly #closed = (): void => {
    this.#stopKeepAlive?.()
    if (this.#response.writableFinished) return
    const error = new TokenmillError('cancelled', 'The client closed the connection before the answer was complete.')
    this.#abort.abort(error)
    // Nothing works for it yet: nothing else would settle.
    if (!this.#running) this.account.settle(error)
  }

  #scheduleFlush(): void {
    if (this.#flushScheduled) return
    this.#flushScheduled = true
    process.nextTick(this.#flush)
  }

  #flushBytes(): void {
    const [only] = this.#pendingBytes
    if (this.#state === 'ended' || only === undefined) return
    const bytes = this.#pendingBytes.length === 1 ? only : Buffer.concat(this.#pendingBytes)
    this.#pendingBytes = []
    this.#lastWriteMs = this.#context.clock.now()
    if (this.#state === 'open') writeChunkBytes(this.#response, bytes)
    else this.#openWith(bytes.toString('latin1'), 'latin1')
  }

  readonly #flush = (): void => {
    this.#flushScheduled = false
    this.#flushBytes()
    if (this.#state === 'ended' || this.#pending === '') return
    const text = this.#pending
    this.#pending = ''
    this.#lastWriteMs = this.#context.clock.now()
    if (this.#state === 'open') writeChunk(this.#response, text)
    else this.#openWith(text, 'utf8')
  }

  /** The head leaves with the first text. */
  #openWith(text: string, encoding: 'latin1' | 'utf8'): void {
    this.#openHead(this.#framing.contentType, 200, undefined)
    this.#response.write(text, encoding)
  }

  #endWith(rest: string | Buffer, encoding: 'latin1' | 'utf8', bytes: number): void {
    if (this.#state === 'waiting') {
      this.#openHead(this.#framing.contentType, 200, bytes)
      this.#finish()
      this.#response.end(rest, encoding)
      return
    }
    const { socket } = this.#response
    this.#finish()
    // The last chunk and the empty one behind it leave in one write.
    socket?.cork()
    if (typeof rest !== 'string') writeChunkBytes(this.#response, rest)
    else if (rest !== '') writeChunk(this.#response, rest, encoding)
    this.#response.end()
    socket?.uncork()
  }

  #openHead(contentType: string, status: number, contentLength: number | undefined, close = false): void {
    if (this.#state !== 'waiting') return
    this.#state = 'open'
    this.account.head(status)
    const headers = this.#headers
    headers.push('content-type', contentType)
    if (contentType === eventStreamType) headers.push('cache-control', 'no-cache', 'x-accel-buffering', 'no')
    else if (contentLength !== undefined) headers.push('content-length', String(contentLength))
    if (close || this.#context.draining()) headers.push('connection', 'close')
    this.#response.writeHead(status, headers)
  }

  #finish(): void {
    this.#state = 'ended'
    this.#pending = ''
    this.#pendingBytes = []
    this.#stopKeepAlive?.()
  }

  /** Checks once an interval, so that a token costs no timer. Silence lasts at most twice the interval's rest. */
  #scheduleKeepAlive(delayMs: number): void {
    const { clock, limits } = this.#context
    this.#stopKeepAlive = clock.schedule(delayMs, () => {
      if (this.#state === 'ended') return
      const silentMs = clock.now() - this.#lastWriteMs
      const due = this.#state === 'waiting' || silentMs >= limits.pingIntervalMs
      if (due && !this.congested) this.write(this.#framing.keepAlive)
      this.#scheduleKeepAlive(due ? limits.pingIntervalMs : limits.pingIntervalMs - silentMs)
    })
  }

  /** Resolves once the last byte is with the operating system: at once, where the socket took all of it. */
  async #written(): Promise<void> {
    const response = this.#response
    if (response.writableFinished || response.socket?.writableLength === 0) return
    await this.#until(response, 'finish')
  }

  /** Waits for an event of the response or its socket; ends with the signal, and with maxWriteStallMs. */
  #until(emitter: EventEmitter, event: 'drain' | 'finish'): Promise<void> {
    const { clock, limits } = this.#context
    return new Promise((resolve, reject) => {
      const done = (error?: Error): void => {
        cancelTimer()
        emitter.off(event, arrived)
        stopListening()
        if (error === undefined) resolve()
        else reject(error)
      }
      const arrived = (): void => done()
      const cancelTimer = clock.schedule(limits.maxWriteStallMs, () => {
        this.#abort.abort(stallError(limits.maxWriteStallMs))
        this.#response.destroy()
      })
      emitter.once(event, arrived)
      let stopListening = (): void => undefined
      stopListening = onAbort(this.signal, done)
    })
  }
}

const eventStreamType = 'text/event-stream; charset=utf-8'

/** Beyond this the copy into a string costs more than a second buffer in the write. */
const maxTextBytes = 64 * 1024

function withOutputStarted(error: TokenmillError): TokenmillError {
  return new TokenmillError(error.code, error.message, { ...error.details, outputStarted: true }, error.cause)
}

function stallError(maxWriteStallMs: number): TokenmillError {
  return new TokenmillError(
    'cancelled',
    `The client did not read its answer for the limit 'maxWriteStallMs' of ${maxWriteStallMs} ms.`,
    { limit: 'maxWriteStallMs', maximum: maxWriteStallMs, unit: 'ms' },
  )
}
