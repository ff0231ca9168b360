import { connect as connectTcp, isIP, type NetConnectOpts, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { HttpAnswerReader, type HttpAnswerHandler } from './http-answer.ts'

/** One request's view of its answer. Nothing is called after `onEnd` or `onFailure`. */
export interface AnswerHandler extends HttpAnswerHandler {
  /** Bytes have come and are read now: the moment that counts for whatever they hold. */
  onRead(): void
  /** The request's bytes are handed to a connection that stands. */
  onSent(): void
  /** `problem` is `syntax` for what is no HTTP, else `connection`. */
  onFailure(problem: 'connection' | 'syntax', error: Error): void
}

/** Bytes of one read: more than a batch of events, little enough for thousands of connections. */
const readBytes = 16 * 1024
/** An idle connection older than this may be closed by the other side at any moment (uvicorn closes after 5 s). */
const maxIdleMs = 4_000
/** Before the other side's stated limit. */
const idleMarginMs = 1_000

/** So many kept connections that were closed when they were used again, and none is kept any more. */
const maxClosedReuses = 3

/**
 * Connections of HTTP/1.1 to one origin, each for one request at a time, as many as there are requests: no cap, no
 * pipelining. Sockets read into a buffer of their own (`onread`) and answers are read in place, so that an event costs one
 * callback and no object. The idle ones are taken last in, first out.
 *
 * Nothing is retried but a request that met a closed door: a kept connection that ends without a byte of an answer had been
 * closed before. It goes out once more over a new one, its clock running on. Servers that close what they said they
 * keep (llama-server, after each stream) get a connection for each request; of one that has kept a connection, the like is a
 * failure.
 */
export class Connections {
  readonly #url: URL
  readonly #idle: Connection[] = []
  readonly #all = new Set<Connection>()
  readonly #busy = new Map<AnswerHandler, Connection>()
  #resent = 0
  /** A kept connection has answered again: from now on, one that closes without an answer is the server's failure. */
  #keeps = false

  constructor(url: URL) {
    this.#url = url
  }

  /** Requests that were sent again because a kept connection had been closed. */
  get resent(): number {
    return this.#resent
  }

  /** Sends a request; its bytes are one string of ASCII head and any body. */
  send(request: string, handler: AnswerHandler): void {
    const idle = this.#takeIdle()
    const connection = idle ?? this.#open()
    this.#busy.set(handler, connection)
    connection.send(
      request,
      handler,
      idle === undefined || this.#keeps ? undefined : () => this.#sendAgain(request, handler),
    )
  }

  /** The handler wants no more of its answer: the connection ends, unless the answer has. */
  giveUp(handler: AnswerHandler): void {
    this.#busy.get(handler)?.giveUp(handler)
    this.#busy.delete(handler)
  }

  close(): void {
    for (const connection of this.#all) connection.destroy()
  }

  #sendAgain(request: string, handler: AnswerHandler): void {
    this.#resent += 1
    const connection = this.#open()
    this.#busy.set(handler, connection)
    connection.send(request, handler, undefined)
  }

  #takeIdle(): Connection | undefined {
    for (let connection = this.#idle.pop(); connection !== undefined; connection = this.#idle.pop()) {
      if (connection.usable) return connection
      connection.destroy()
    }
    return undefined
  }

  #open(): Connection {
    const connection = new Connection(this.#url, {
      onIdle: (handler) => {
        this.#busy.delete(handler)
        if (this.#resent < maxClosedReuses) this.#idle.push(connection)
        else connection.destroy()
      },
      onReused: () => {
        this.#keeps = true
      },
      onEnded: (handler) => this.#busy.delete(handler),
      onClosed: () => this.#all.delete(connection),
    })
    this.#all.add(connection)
    return connection
  }
}

interface ConnectionOwner {
  /** The answer to this handler has ended and another request may follow. */
  onIdle(handler: AnswerHandler): void
  /** A kept connection answers. */
  onReused(): void
  /** It has ended and none may follow, or it has failed. */
  onEnded(handler: AnswerHandler): void
  onClosed(): void
}

/** A socket with at most one request. Owns both until `onClosed`. */
class Connection {
  readonly #owner: ConnectionOwner
  readonly #socket: Socket
  #connected = false
  #closed = false
  #handler: AnswerHandler | undefined
  #reader: HttpAnswerReader | undefined
  #idleUntilMs = 0
  /** Sends the request over another connection: set until the first byte of an answer over a kept one. */
  #sendAgain: (() => void) | undefined

  constructor(url: URL, owner: ConnectionOwner) {
    this.#owner = owner
    const secure = url.protocol === 'https:'
    const host = url.hostname.replace(/^\[|\]$/g, '')
    const port = url.port === '' ? (secure ? 443 : 80) : Number(url.port)
    const onread = {
      buffer: Buffer.allocUnsafeSlow(readBytes),
      callback: (count: number, bytes: Uint8Array): boolean => {
        this.#read(Buffer.from(bytes.buffer, bytes.byteOffset, count))
        return true
      },
    }
    const options: NetConnectOpts = { host, port, onread }
    // A server's name is sent by name only: RFC 6066 knows no addresses.
    this.#socket = secure
      ? connectTls({ ...options, ...(isIP(host) === 0 ? { servername: host } : {}) })
      : connectTcp(options)
    this.#socket.setNoDelay(true)
    this.#socket.once(secure ? 'secureConnect' : 'connect', () => {
      this.#connected = true
      this.#handler?.onSent()
    })
    let failure: Error | undefined
    this.#socket.on('error', (error) => {
      failure = error
    })
    this.#socket.once('close', () => {
      this.#closed = true
      this.#owner.onClosed()
      if (failure === undefined && this.#reader?.close() === true) {
        if (this.#handler !== undefined) this.#owner.onEnded(this.#handler)
        return
      }
      this.#fail('connection', failure ?? new Error('the other side closed the connection'))
    })
  }

  get usable(): boolean {
    return !this.#closed && this.#connected && performance.now() < this.#idleUntilMs
  }

  send(request: string, handler: AnswerHandler, sendAgain: (() => void) | undefined): void {
    this.#handler = handler
    this.#sendAgain = sendAgain
    this.#reader = new HttpAnswerReader(handler)
    if (this.#connected) handler.onSent()
    // Before the connection stands, the socket keeps the bytes.
    this.#socket.write(request)
  }

  /** The handler wants no more of its answer: the connection ends, unless the answer has. */
  giveUp(handler: AnswerHandler): void {
    if (this.#handler === handler && this.#reader?.done === false) this.destroy()
  }

  /** Gives up whatever runs, without a word to its handler. */
  destroy(): void {
    this.#handler = undefined
    this.#reader = undefined
    this.#socket.destroy()
  }

  #read(bytes: Buffer): void {
    const reader = this.#reader
    // Nobody has asked: what comes between two answers makes the connection unfit.
    if (reader === undefined) return this.destroy()
    const handler = this.#handler
    if (this.#sendAgain !== undefined) {
      this.#sendAgain = undefined
      this.#owner.onReused()
    }
    handler?.onRead()
    try {
      reader.push(bytes)
    } catch (error) {
      this.#fail('syntax', error instanceof Error ? error : new Error(String(error)))
      return
    }
    // The handler may have given up, or sent the next request, meanwhile.
    if (!reader.done || this.#reader !== reader) return
    this.#handler = undefined
    this.#reader = undefined
    if (!reader.keepAlive) {
      if (handler !== undefined) this.#owner.onEnded(handler)
      return this.destroy()
    }
    const idleMs = Math.min(maxIdleMs, (reader.idleMs ?? maxIdleMs + idleMarginMs) - idleMarginMs)
    this.#idleUntilMs = performance.now() + idleMs
    if (handler !== undefined) this.#owner.onIdle(handler)
  }

  #fail(problem: 'connection' | 'syntax', error: Error): void {
    const [handler, sendAgain] = [this.#handler, this.#sendAgain]
    this.destroy()
    if (handler === undefined) return
    if (sendAgain !== undefined) return sendAgain()
    this.#owner.onEnded(handler)
    handler.onFailure(problem, error)
  }
}
