import type { IncomingMessage, ServerResponse } from 'node:http'
import { createId, type Clock, type TokenmillError } from '../core/index.ts'
import type { UsageSink } from '../inference/index.ts'
import { protocols, type Operation, type Protocol } from '../protocol/index.ts'
import { RequestAccount, type Logger } from '../telemetry/index.ts'
import { Exchange, type ExchangeLimits } from './exchange.ts'
import type { Guard } from './guard.ts'
import type { ApiKeys } from './keys.ts'
import type { OpenExchanges } from './open-exchanges.ts'
import { runRequest, type RunServices } from './request-run.ts'

export interface DataPlaneParts {
  readonly limits: ExchangeLimits & { readonly exposeUpstreamErrors?: boolean }
  readonly guard: Guard
  readonly keys: ApiKeys
  readonly clock: Clock
  readonly logger: Logger
  readonly sink: UsageSink
  readonly exchanges: OpenExchanges
  readonly run: RunServices
  /** Why no more requests are taken; undefined while they are. */
  readonly closed: () => TokenmillError | undefined
}

/** An operation at one of its paths. */
interface DataRoute {
  readonly protocol: Protocol
  readonly operation: Operation
  /** Name in accounts: `POST /v1/chat/completions`. */
  readonly label: string
}

/**
 * The paths that cost tokens: a table in front of the framework, which none of their requests passes. Each is accounted,
 * and writes to its socket itself.
 */
export class DataPlane {
  readonly #parts: DataPlaneParts
  readonly #routes: ReadonlyMap<string, DataRoute>

  constructor(parts: DataPlaneParts) {
    this.#parts = parts
    this.#routes = new Map(
      protocols.flatMap((protocol) =>
        protocol.operations.flatMap((operation) =>
          operation.paths.map((path): [string, DataRoute] => [path, { protocol, operation, label: `POST ${path}` }]),
        ),
      ),
    )
  }

  /** Is there an operation at this path? */
  has(path: string): boolean {
    return this.#routes.has(path)
  }

  /** Takes a request that is for one of its paths. False: it is for somebody else. */
  handle(request: IncomingMessage, response: ServerResponse): boolean {
    if (request.method !== 'POST') return false
    const url = request.url ?? ''
    const route = this.#routes.get(url) ?? this.#routes.get(pathOf(url))
    if (route === undefined) return false
    const exchange = this.#open(route, request, response)
    void exchange.run(async () => await this.#serve(route, exchange, request))
    return true
  }

  async #serve({ protocol, operation }: DataRoute, exchange: Exchange, request: IncomingMessage): Promise<void> {
    const { guard, keys, closed, run } = this.#parts
    guard.check(request.headers)
    const keyName = keys.check(request.headers)
    if (keyName !== undefined) exchange.account.describe({ keyName })
    const refusal = closed()
    if (refusal !== undefined) throw refusal
    await runRequest(exchange, protocol, operation, keyName, run)
  }

  #open({ protocol, label }: DataRoute, request: IncomingMessage, response: ServerResponse): Exchange {
    const { clock, limits, logger, exchanges, sink, closed } = this.#parts
    const id = acceptedId(request.headers['x-request-id']) ?? createId('req')
    const account = new RequestAccount({ requestId: id, operation: label }, clock, (record) => {
      exchanges.delete(exchange)
      sink(record)
    })
    const onFailure = (error: TokenmillError, requestId: string): void =>
      logger.error({ err: error.cause ?? error, requestId }, error.message)
    const draining = (): boolean => closed() !== undefined
    const onHidden =
      limits.exposeUpstreamErrors === true
        ? undefined
        : (error: TokenmillError, requestId: string): void =>
            logger.debug({ requestId, errorCode: error.code, ...error.details }, error.message)
    const context = { id, account, protocol, clock, limits, draining, onFailure, onHidden }
    const exchange = new Exchange(request, response, context)
    exchanges.add(exchange)
    return exchange
  }
}

/** The path of an address as routes name it: without its host, its query, doubled slashes and one at its end. */
export function pathOf(url: string): string {
  const relative = withoutHost(url)
  const query = relative.indexOf('?')
  const path = (query < 0 ? relative : relative.slice(0, query)).replace(/\/{2,}/g, '/')
  return path.length > 1 && path.endsWith('/') ? path.slice(0, -1) : path
}

/** The address as a path with its query: clients of proxies send it whole (absolute form). */
export function withoutHost(url: string): string {
  if (url.startsWith('/')) return url
  const parsed = URL.parse(url)
  return parsed === null ? url : parsed.pathname + parsed.search
}

/** A request id that the client chose, where it is harmless in headers and logs. */
export function acceptedId(header: string | string[] | undefined): string | undefined {
  return typeof header === 'string' && /^[\w.:-]{1,128}$/.test(header) ? header : undefined
}
