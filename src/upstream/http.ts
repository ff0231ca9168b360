import { Pool, type Dispatcher } from 'undici'
import { abortError, onAbort, TokenmillError, toTokenmillError } from '../core/index.ts'
import type { RelayFlow, RelaySink } from '../inference/index.ts'
import { readRetryAfterMs, upstreamError } from '../protocol/index.ts'
import { splitUrl, type EndpointSettings } from './endpoint.ts'

export interface HttpCall {
  readonly method: 'GET' | 'POST'
  /** Below the endpoint's prefix: `/v1/models`. */
  readonly path: string
  readonly body?: Uint8Array | string
  readonly headers?: Readonly<Record<string, string>>
  /** Longest silence between two pieces of the answer; the endpoint's idleMs unless given. 0: none. */
  readonly idleMs?: number
  /** Most bytes of an answer that is read as a whole. */
  readonly maxBytes?: number
}

export interface HttpAnswer {
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly body: Buffer
}

/**
 * HTTP to one endpoint: a pool of connections to one origin and to no other (redirects are not followed). Answers
 * go to the sink by callback, without a stream object between; aborting destroys the connection at once.
 */
export class EndpointHttp {
  readonly name: string
  readonly #pool: Pool
  readonly #prefix: string
  readonly #headers: Readonly<Record<string, string>>
  readonly #settings: EndpointSettings

  constructor(settings: EndpointSettings) {
    const { origin, prefix } = splitUrl(settings.url)
    const { limits, tls } = settings
    this.#settings = settings
    this.#prefix = prefix
    this.name = `${origin}${prefix}`
    this.#headers = {
      // Without it a server may choose any coding; answers are read as they come.
      'accept-encoding': 'identity',
      ...(settings.apiKey === undefined ? {} : { authorization: `Bearer ${settings.apiKey}` }),
      ...lowerCaseNames(settings.headers),
    }
    this.#pool = new Pool(origin, {
      connections: limits.maxConnections,
      pipelining: 1,
      keepAliveTimeout: limits.keepAliveMs,
      keepAliveMaxTimeout: Math.max(limits.keepAliveMs, 60_000),
      // The wait for the first token belongs to whoever dispatches; here only the connection and silence count.
      headersTimeout: 0,
      bodyTimeout: limits.idleMs,
      connect: {
        timeout: limits.connectMs,
        noDelay: true,
        ...(tls === undefined
          ? {}
          : {
              rejectUnauthorized: tls.verify,
              ...(tls.ca === undefined ? {} : { ca: tls.ca }),
              ...(tls.cert === undefined ? {} : { cert: tls.cert }),
              ...(tls.key === undefined ? {} : { key: tls.key }),
              ...(tls.serverName === undefined ? {} : { servername: tls.serverName }),
            }),
      },
    })
  }

  /**
   * Sends, and hands a successful answer to the sink. Resolves at its complete end. Rejects with the abort's reason,
   * with the error of an answer outside 2xx, or with `upstream_failed` and `upstream_timeout` for the connection.
   */
  stream(call: HttpCall, sink: RelaySink, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) {
        reject(abortError(signal))
        return
      }
      const exchange = new Exchange(this.name, this.#settings, sink, signal, resolve, reject)
      this.#pool.dispatch(this.#options(call), exchange)
    })
  }

  /** Sends, and gathers the whole answer whatever its status. Rejects as `stream` does, and past `maxBytes`. */
  async fetch(call: HttpCall, signal: AbortSignal): Promise<HttpAnswer> {
    const limits = this.#settings.limits
    const maxBytes = call.maxBytes ?? limits.maxMetricsBytes
    const pieces: Uint8Array[] = []
    let bytes = 0
    let head: { status: number; headers: HttpAnswer['headers'] } | undefined
    await new Promise<void>((resolve, reject) => {
      if (signal.aborted) {
        reject(abortError(signal))
        return
      }
      const sink = {
        begin: () => undefined,
        data(chunk: Uint8Array) {
          bytes += chunk.length
          if (bytes > maxBytes) {
            throw new TokenmillError('upstream_failed', `An answer exceeds the limit of ${maxBytes} bytes.`)
          }
          pieces.push(chunk)
        },
      }
      const exchange = new Exchange(this.name, this.#settings, sink, signal, resolve, reject, (status, headers) => {
        head = { status, headers }
      })
      this.#pool.dispatch(this.#options(call), exchange)
    })
    if (head === undefined) throw new TokenmillError('upstream_failed', `The endpoint ${this.name} gave no answer.`)
    return { ...head, body: Buffer.concat(pieces) }
  }

  async close(): Promise<void> {
    await this.#pool.destroy(new TokenmillError('cancelled', `The endpoint ${this.name} was closed.`))
  }

  #options(call: HttpCall): Dispatcher.DispatchOptions {
    return {
      method: call.method,
      path: `${this.#prefix}${call.path}`,
      headers: {
        ...(call.body === undefined ? {} : { 'content-type': 'application/json' }),
        ...call.headers,
        ...this.#headers,
      },
      body: call.body ?? null,
      ...(call.idleMs === undefined ? {} : { bodyTimeout: call.idleMs }),
    }
  }
}

/** Headers of a successful answer that reach the client; all others stay here. */
const answerHeaders = ['content-type'] as const

/** One request and its answer. Settles its promise exactly once, and takes its listener off the signal then. */
class Exchange implements Dispatcher.DispatchHandler {
  readonly #name: string
  readonly #settings: EndpointSettings
  readonly #sink: RelaySink
  readonly #stopListening: () => void
  readonly #resolve: () => void
  readonly #reject: (error: TokenmillError) => void
  /** Takes the head of any answer; without it, one outside 2xx becomes an error. */
  readonly #onHead: ((status: number, headers: HttpAnswer['headers']) => void) | undefined
  #controller: Dispatcher.DispatchController | undefined
  #settled = false
  #failure: Failure | undefined

  constructor(
    name: string,
    settings: EndpointSettings,
    sink: RelaySink,
    signal: AbortSignal,
    resolve: () => void,
    reject: (error: TokenmillError) => void,
    onHead?: (status: number, headers: HttpAnswer['headers']) => void,
  ) {
    this.#name = name
    this.#settings = settings
    this.#sink = sink
    this.#resolve = resolve
    this.#reject = reject
    this.#onHead = onHead
    this.#stopListening = onAbort(signal, this.#onAbort)
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller
    // Aborted while the connection opened: the request must not leave.
    if (this.#settled) controller.abort(new Error('aborted'))
  }

  onResponseStart(
    controller: Dispatcher.DispatchController,
    status: number,
    headers: Record<string, string | string[] | undefined>,
  ): void {
    if (this.#settled || status < 200) return
    if (this.#onHead !== undefined) {
      this.#onHead(status, headers)
      return
    }
    if (status >= 300) {
      this.#failure = { status, retryAfterMs: readRetryAfterMs(headers, Date.now()), body: [], bytes: 0 }
      return
    }
    const coding = headers['content-encoding']
    if (coding !== undefined && coding !== 'identity') {
      this.#guard(() => {
        const message = `The endpoint ${this.#name} answered in the coding '${String(coding)}', which was not asked for. Turn compression off there.`
        throw new TokenmillError('upstream_failed', message)
      })
      return
    }
    const allowed: Record<string, string> = {}
    for (const name of answerHeaders) {
      const value = headers[name]
      if (typeof value === 'string') allowed[name] = value
    }
    this.#guard(() => this.#sink.begin({ status, headers: allowed }, flowOf(controller)))
  }

  onResponseData(_controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#settled) return
    const failure = this.#failure
    if (failure === undefined) {
      this.#guard(() => this.#sink.data(chunk))
      return
    }
    failure.bytes += chunk.length
    failure.body.push(chunk)
    if (failure.bytes > this.#settings.limits.maxErrorBodyBytes) this.#endFailure(failure)
  }

  onResponseEnd(): void {
    if (this.#settled) return
    if (this.#failure !== undefined) this.#endFailure(this.#failure)
    else if (this.#settle()) this.#resolve()
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    // The body of an error may break off; its status alone says enough.
    if (!this.#settled && this.#failure !== undefined) this.#endFailure(this.#failure)
    else if (this.#settle()) this.#reject(connectionError(this.#name, error))
  }

  readonly #onAbort = (error: TokenmillError): void => {
    if (!this.#settle()) return
    this.#controller?.abort(new Error('aborted'))
    this.#reject(error)
  }

  #endFailure(failure: Failure): void {
    if (!this.#settle()) return
    const body = Buffer.concat(failure.body).toString()
    if (failure.bytes > this.#settings.limits.maxErrorBodyBytes) this.#controller?.abort(new Error('long error body'))
    this.#reject(upstreamError(this.#name, failure.status, body, failure.retryAfterMs))
  }

  /** Runs the sink; what it throws ends the exchange. */
  #guard(call: () => void): void {
    try {
      call()
    } catch (error) {
      if (!this.#settle()) return
      this.#controller?.abort(new Error('sink failed'))
      this.#reject(toTokenmillError(error))
    }
  }

  #settle(): boolean {
    if (this.#settled) return false
    this.#settled = true
    this.#stopListening()
    return true
  }
}

/** An answer outside 2xx while its body comes in. */
interface Failure {
  readonly status: number
  readonly retryAfterMs: number | undefined
  readonly body: Buffer[]
  bytes: number
}

function flowOf(controller: Dispatcher.DispatchController): RelayFlow {
  return { pause: () => controller.pause(), resume: () => controller.resume() }
}

/** What went wrong on the way, without the headers or the body that undici's errors may hold. */
function connectionError(name: string, error: Error): TokenmillError {
  // Our own, from `close`.
  if (error instanceof TokenmillError) return error
  const code = errorCode(error)
  const reason = reasons[code]
  if (timeouts.has(code)) {
    return new TokenmillError(
      'upstream_timeout',
      `The endpoint ${name} ${reason ?? 'did not answer in time'} (${code}).`,
    )
  }
  const told =
    reason ??
    (code.includes('CERT') || code.includes('TLS') || code.includes('SSL')
      ? `failed TLS: ${error.message}`
      : `broke the connection: ${error.message}`)
  return new TokenmillError('upstream_failed', `The endpoint ${name} ${told} (${code}).`)
}

function errorCode(error: Error): string {
  const own = (error as { code?: unknown }).code
  if (typeof own === 'string') return own
  // Several addresses tried, all in vain: the first tells as much as any.
  const first: unknown = error instanceof AggregateError ? error.errors[0] : undefined
  return first instanceof Error ? errorCode(first) : error.name
}

const timeouts = new Set(['UND_ERR_CONNECT_TIMEOUT', 'UND_ERR_HEADERS_TIMEOUT', 'UND_ERR_BODY_TIMEOUT', 'ETIMEDOUT'])

const reasons: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'refuses connections',
  ECONNRESET: 'reset the connection',
  EPIPE: 'closed the connection',
  ENOTFOUND: 'has a host name that nobody knows',
  EAI_AGAIN: 'has a host name that cannot be looked up now',
  EHOSTUNREACH: 'cannot be reached',
  ENETUNREACH: 'cannot be reached',
  UND_ERR_SOCKET: 'closed the connection before its answer was complete',
  UND_ERR_RES_CONTENT_LENGTH_MISMATCH: 'sent fewer bytes than it announced',
  UND_ERR_CONNECT_TIMEOUT: 'did not accept a connection in time',
  UND_ERR_BODY_TIMEOUT: 'fell silent within its answer',
  CERT_HAS_EXPIRED: 'has a certificate that has expired',
  CERT_NOT_YET_VALID: 'has a certificate that is not valid yet',
  ERR_TLS_CERT_ALTNAME_INVALID:
    "has a certificate for another host name (set the endpoint's tls.serverName if that is meant)",
  ...Object.fromEntries(
    [
      'DEPTH_ZERO_SELF_SIGNED_CERT',
      'SELF_SIGNED_CERT_IN_CHAIN',
      'UNABLE_TO_GET_ISSUER_CERT',
      'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
      'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
    ].map((code) => [code, "has a certificate that nobody known here has signed (set the endpoint's tls.ca)"]),
  ),
  ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED: "wants a certificate of ours (set the endpoint's tls.cert and tls.key)",
}

function lowerCaseNames(headers: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]))
}
