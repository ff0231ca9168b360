import type { EventEmitter } from 'node:events'
import type { ServerResponse } from 'node:http'
import { TokenmillError, toTokenmillError, type Clock } from '../core/index.ts'
import type { GenerationEncoder } from '../protocol/index.ts'
import { toErrorReply } from '../protocol/index.ts'
import type { RequestAccount } from '../telemetry/index.ts'
import { outletOf, writeChunk, writeChunkBytes } from './chunk-writer.ts'

export interface ExchangeLimits {
  readonly headerFlushMs: number
  readonly pingIntervalMs: number
  readonly maxWriteStallMs: number
}

export interface ExchangeContext {
  readonly id: string
  readonly account: RequestAccount
  readonly clock: Clock
  readonly limits: ExchangeLimits
  /** Told of errors that are ours: failures inside, never the client's mistakes. */
  readonly onFailure: (error: TokenmillError, requestId: string) => void
}

/**
 * One request and its answer on a socket: the AbortSignal tied to it, the head, the bytes, and the one end.
 *
 *   waiting ──first write, headerFlushMs, or end──▶ open ──end() or fail()──▶ ended
 *
 * While waiting, an error still gets its own status. All text of one turn of the event loop goes out in one write.
 * Closing the socket aborts the signal; whoever works for the request unwinds, and `run` settles the account.
 */
export class Exchange {
  readonly id: string
  readonly account: RequestAccount
  readonly #raw: ServerResponse
  readonly #context: ExchangeContext
  readonly #abort = new AbortController()
  #state: 'waiting' | 'open' | 'ended' = 'waiting'
  #running = false
  #headers: Readonly<Record<string, string>> = {}
  #encoder: GenerationEncoder | undefined
  #pending = ''
  /** Bytes of this turn; never at the same time as text. */
  #pendingBytes: Buffer[] = []
  #flushScheduled = false
  #stopKeepAlive: (() => void) | undefined
  #lastWriteMs = 0

  constructor(raw: ServerResponse, context: ExchangeContext) {
    this.id = context.id
    this.account = context.account
    this.#raw = raw
    this.#context = context
    raw.once('close', () => this.#closed())
  }

  /** Aborts when the client leaves, and when the server gives the request up; the reason is a TokenmillError. */
  get signal(): AbortSignal {
    return this.#abort.signal
  }

  /** The client reads slower than we write: `drained` before more is asked of the engine. */
  get congested(): boolean {
    return outletOf(this.#raw).writableNeedDrain
  }

  /** Headers for the answer's head, whichever it will be. */
  setHeaders(headers: Readonly<Record<string, string>>): void {
    this.#headers = { ...this.#headers, ...headers }
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

  /** From here on the answer is written by `encoder`; a stream opens its head after headerFlushMs even if nothing came. */
  begin(encoder: GenerationEncoder, stream: boolean): void {
    this.#encoder = encoder
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
    this.signal.throwIfAborted()
    if (this.congested) await this.#until(outletOf(this.#raw), 'drain')
  }

  /** Writes the rest and ends. Resolves once the last byte is with the operating system. */
  async end(text: string): Promise<void> {
    this.signal.throwIfAborted()
    this.#flushBytes()
    const rest = this.#pending + text
    this.#pending = ''
    this.#openHead(this.#encoder?.contentType ?? 'application/json', 200, Buffer.byteLength(rest))
    this.#finish()
    this.#raw.end(rest)
    await this.#written()
  }

  /** Writes the last bytes and ends. Resolves once the last byte is with the operating system. */
  async endBytes(bytes: Buffer): Promise<void> {
    this.signal.throwIfAborted()
    this.#flush()
    this.#openHead(this.#encoder?.contentType ?? 'application/json', 200, bytes.length)
    this.#finish()
    this.#raw.end(bytes)
    await this.#written()
  }

  /** A whole JSON answer. */
  async answer(body: object): Promise<void> {
    await this.end(JSON.stringify(body))
  }

  /** Answers with an error, in whatever form is still possible, and settles the account. */
  fail(error: TokenmillError): void {
    const told = this.account.outputStarted ? withOutputStarted(error) : error
    if (error.code === 'internal' || error.code === 'engine_failed') this.#context.onFailure(error, this.id)
    if (this.#state !== 'ended' && !this.#raw.destroyed) this.#tell(told)
    this.account.settle(error)
  }

  #tell(error: TokenmillError): void {
    this.#flushBytes()
    if (this.#state === 'waiting') {
      const reply = toErrorReply(error)
      const body = JSON.stringify(reply.body)
      // An unread rest of the body would be taken for the next request.
      const connection: Record<string, string> = this.#raw.req.complete ? {} : { connection: 'close' }
      this.setHeaders({ ...reply.headers, ...connection })
      this.#openHead('application/json', reply.status, Buffer.byteLength(body))
      this.#finish()
      this.#raw.end(body)
      return
    }
    const text = this.#pending + (this.#encoder?.error(error) ?? '')
    this.#finish()
    if (this.#encoder?.carriesErrors === true) this.#raw.end(text)
    // The head promised a success that this is not: only a cut connection tells every client so.
    else this.#raw.write(text, () => this.#raw.destroy())
  }

  #closed(): void {
    this.#stopKeepAlive?.()
    if (this.#raw.writableFinished) return
    const error = new TokenmillError('cancelled', 'The client closed the connection before the answer was complete.')
    this.#abort.abort(error)
    // Nobody works for it yet (the body was still arriving): nobody else would settle.
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
    if (this.#state === 'open') {
      writeChunkBytes(this.#raw, bytes)
      return
    }
    this.#openHead(this.#encoder?.contentType ?? 'application/json', 200, undefined)
    this.#raw.write(bytes)
  }

  readonly #flush = (): void => {
    this.#flushScheduled = false
    this.#flushBytes()
    if (this.#state === 'ended' || this.#pending === '') return
    const text = this.#pending
    this.#pending = ''
    this.#lastWriteMs = this.#context.clock.now()
    if (this.#state === 'open') return writeChunk(this.#raw, text)
    // The head leaves with the first text.
    this.#openHead(this.#encoder?.contentType ?? 'application/json', 200, undefined)
    this.#raw.write(text)
  }

  #openHead(contentType: string, status: number, contentLength: number | undefined): void {
    if (this.#state !== 'waiting') return
    this.#state = 'open'
    this.account.head(status)
    const stream = contentType.startsWith('text/event-stream')
    this.#raw.writeHead(status, {
      ...this.#headers,
      'content-type': contentType,
      ...(stream ? streamHeaders : {}),
      ...(contentLength === undefined || stream ? {} : { 'content-length': String(contentLength) }),
    })
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
      if (due && !this.congested) this.write(this.#encoder?.keepAlive ?? '')
      this.#scheduleKeepAlive(due ? limits.pingIntervalMs : limits.pingIntervalMs - silentMs)
    })
  }

  /** Resolves once the last byte is with the operating system: at once, where the socket took all of it. */
  async #written(): Promise<void> {
    const raw = this.#raw
    if (raw.writableFinished || raw.socket?.writableLength === 0) return
    await this.#until(raw, 'finish')
  }

  /** Waits for an event of the response or its socket; ends with the signal, and with maxWriteStallMs. */
  #until(emitter: EventEmitter, event: 'drain' | 'finish'): Promise<void> {
    const raw = this.#raw
    const { clock, limits } = this.#context
    return new Promise((resolve, reject) => {
      const done = (error?: Error) => {
        stopTimer()
        emitter.off(event, arrived)
        this.signal.removeEventListener('abort', aborted)
        if (error === undefined) resolve()
        else reject(error)
      }
      const arrived = () => done()
      const aborted = () => done(toTokenmillError(this.signal.reason))
      const stopTimer = clock.schedule(limits.maxWriteStallMs, () => {
        const error = stallError(limits.maxWriteStallMs)
        this.#abort.abort(error)
        raw.destroy()
      })
      emitter.once(event, arrived)
      this.signal.addEventListener('abort', aborted, { once: true })
      if (this.signal.aborted) aborted()
    })
  }
}

const streamHeaders = { 'cache-control': 'no-cache', 'x-accel-buffering': 'no' }

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
