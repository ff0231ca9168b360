import { Pool, type Dispatcher } from 'undici'
import { abortError, systemClock, TokenmillError, type Clock } from '../core/index.ts'
import type { RelaySink } from '../inference/index.ts'
import { endpointError } from '../protocol/index.ts'
import { splitUrl, type BaseUrl } from './base-url.ts'
import type { EndpointSettings } from './endpoint.ts'
import { providers } from './providers.ts'
import { HttpExchange, type ExchangeEndpoint } from './http-exchange.ts'

export interface HttpCall {
  readonly method: 'GET' | 'POST'
  /** `/v1/models` of the API, or `/health` of the server. */
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
  readonly #base: BaseUrl
  /** Sent with every request: names and values in turn, as undici takes them without a copy. */
  readonly #headers: readonly string[]
  /** Their names. Headers of a call under the same name give way. */
  readonly #headerNames: ReadonlySet<string>
  readonly #settings: EndpointSettings
  readonly #endpoint: ExchangeEndpoint

  constructor(settings: EndpointSettings, clock: Clock = systemClock) {
    const base = splitUrl(settings.url)
    const { origin } = base
    const { limits, tls } = settings
    const keyHeader = settings.provider === undefined ? undefined : providers[settings.provider].keyHeader
    this.#settings = settings
    this.#base = base
    this.name = `${origin}${base.root}`
    this.#endpoint = { name: this.name, clock, maxErrorBodyBytes: limits.maxErrorBodyBytes }
    const headers: Readonly<Record<string, string>> = {
      // Without it a server may choose any coding; answers are read as they come.
      'accept-encoding': 'identity',
      ...(settings.apiKey === undefined
        ? {}
        : keyHeader === undefined
          ? { authorization: `Bearer ${settings.apiKey}` }
          : { [keyHeader]: settings.apiKey }),
      ...lowerCaseNames(settings.headers),
    }
    this.#headers = Object.entries(headers).flat()
    this.#headerNames = new Set(Object.keys(headers))
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
      const exchange = new HttpExchange(this.#endpoint, sink, signal, resolve, reject)
      this.#pool.dispatch(this.#options(call), exchange)
    })
  }

  /** Sends, and gathers the whole answer whatever its status. Rejects as `stream` does, and past `maxBytes`. */
  async fetch(call: HttpCall, signal: AbortSignal): Promise<HttpAnswer> {
    const limits = this.#settings.limits
    const maxBytes = call.maxBytes ?? limits.maxMetricsBytes
    const pieces: Uint8Array[] = []
    const { name } = this
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
            throw endpointError('upstream_failed', name, `sent an answer past the limit of ${maxBytes} bytes.`)
          }
          pieces.push(chunk)
        },
      }
      const exchange = new HttpExchange(this.#endpoint, sink, signal, resolve, reject, (status, headers) => {
        head = { status, headers }
      })
      this.#pool.dispatch(this.#options(call), exchange)
    })
    if (head === undefined) throw endpointError('upstream_failed', name, 'gave no answer.')
    return { ...head, body: Buffer.concat(pieces) }
  }

  async close(): Promise<void> {
    await this.#pool.destroy(new TokenmillError('cancelled', `The endpoint ${this.name} was closed.`))
  }

  /** `/v1/…` is a path of the API, wherever that stands here; all others are pages of the server. */
  #path(path: string): string {
    const { root, api, query } = this.#base
    const whole = path.startsWith('/v1/') ? `${api}${path.slice('/v1'.length)}` : `${root}${path}`
    return query === '' ? whole : `${whole}${whole.includes('?') ? '&' : '?'}${query}`
  }

  #headersOf({ body, headers }: HttpCall): string[] {
    const list = [...this.#headers]
    const add = (name: string, value: string): void => {
      if (!this.#headerNames.has(name)) list.push(name, value)
    }
    if (body !== undefined) add('content-type', 'application/json')
    for (const name in headers) add(name, headers[name] ?? '')
    return list
  }

  #options(call: HttpCall): Dispatcher.DispatchOptions {
    return {
      method: call.method,
      path: this.#path(call.path),
      headers: this.#headersOf(call),
      body: call.body ?? null,
      ...(call.idleMs === undefined ? {} : { bodyTimeout: call.idleMs }),
    }
  }
}

function lowerCaseNames(headers: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]))
}
