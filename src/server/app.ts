import type { RequestListener, ServerResponse } from 'node:http'
import { createServer as createHttpsServer } from 'node:https'
import type { Socket } from 'node:net'
import cors from '@fastify/cors'
import { fastify, type FastifyError, type FastifyInstance, type FastifyRequest } from 'fastify'
import { createId, formatBytes, TokenmillError, toTokenmillError, type Clock } from '../core/index.ts'
import type { UsageSink } from '../inference/index.ts'
import { toErrorReply } from '../protocol/index.ts'
import { RequestAccount, type Logger } from '../telemetry/index.ts'
import { Exchange, type ExchangeLimits } from './exchange.ts'
import type { OpenExchanges } from './open-exchanges.ts'
import type { Guard } from './guard.ts'
import type { ApiKeys } from './keys.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** The route is accounted under this name, and its handler writes through an Exchange. */
    operation?: string
    /** Answered without an API key: probes have none. */
    open?: boolean
  }
  interface FastifyRequest {
    /** Present on routes with an `operation`. */
    exchange: Exchange | undefined
  }
}

export interface AppLimits extends ExchangeLimits {
  readonly maxBodyBytes: number
  readonly maxConnections: number
  readonly requestTimeoutMs: number
}

/** PEM texts. */
export interface ServerTls {
  readonly cert: string
  readonly key: string
  /** Clients need a certificate that this signs. */
  readonly clientCa: string | undefined
}

export interface AppParts {
  readonly limits: AppLimits
  readonly corsOrigins: readonly string[]
  readonly guard: Guard
  readonly keys: ApiKeys
  readonly clock: Clock
  readonly logger: Logger
  readonly sink: UsageSink
  readonly exchanges: OpenExchanges
  readonly tls?: ServerTls | undefined
}

/**
 * HTTP around the routes: the request's id, the guard, the key, the body's limit, and one place where every error
 * becomes an answer. Order of the first hook: id → exchange (so that every refusal is accounted) → guard → key.
 */
export async function createApp(parts: AppParts): Promise<FastifyInstance> {
  const { limits, corsOrigins, guard, keys, logger, tls } = parts
  const app = fastify({
    ...(tls === undefined
      ? {}
      : { serverFactory: (handler: RequestListener) => createTlsServer(handler, tls, limits) }),
    logger: false,
    bodyLimit: limits.maxBodyBytes,
    requestTimeout: limits.requestTimeoutMs,
    keepAliveTimeout: 72_000,
    forceCloseConnections: true,
    genReqId: (raw) => acceptedId(raw.headers['x-request-id']) ?? createId('req'),
    routerOptions: { ignoreTrailingSlash: true, maxParamLength: 512 },
    clientErrorHandler: answerBrokenHttp,
    frameworkErrors: (error, request, reply) => {
      const { status, headers, body } = toErrorReply(fromFastify(error, request, limits))
      // Before routing, Fastify types the reply for no route: the socket's own does.
      const raw: ServerResponse = reply.raw
      raw.writeHead(status, { ...headers, 'content-type': 'application/json', 'x-request-id': request.id })
      raw.end(JSON.stringify(body))
    },
  })
  app.server.maxConnections = limits.maxConnections
  app.decorateRequest('exchange', undefined)

  if (corsOrigins.length > 0) {
    const origin = corsOrigins.includes('*') ? '*' : [...corsOrigins]
    const exposedHeaders = ['x-request-id', 'retry-after', 'retry-after-ms', 'x-should-retry']
    await app.register(cors, { origin, exposedHeaders, maxAge: 600, methods: ['GET', 'POST'] })
  }

  app.addHook('onRequest', (request, reply, done) => {
    reply.header('x-request-id', request.id)
    const { operation, open } = request.routeOptions.config
    try {
      if (operation !== undefined)
        request.exchange = createExchange(request, operation, reply.getHeaders(), reply.raw, parts)
      guard.check(request.headers)
      const keyName = open === true ? undefined : keys.check(request.headers)
      request.exchange?.account.describe({ keyName })
      done()
    } catch (error) {
      done(toTokenmillError(error))
    }
  })

  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body))

  app.setErrorHandler((thrown: FastifyError, request, reply) => {
    const error = fromFastify(thrown, request, limits)
    if (request.exchange !== undefined) {
      reply.hijack()
      request.exchange.fail(error)
      return
    }
    if (error.code === 'internal') logger.error({ err: thrown, requestId: request.id }, 'internal error')
    const { status, headers, body } = toErrorReply(error)
    void reply.code(status).headers(headers).send(body)
  })

  app.setNotFoundHandler((request, reply) => {
    const [path = ''] = request.url.split('?')
    const allowed = (['GET', 'HEAD', 'POST'] as const).filter((method) => app.hasRoute({ method, url: path }))
    const { status, headers, body } = toErrorReply(notFound(request.method, path, allowed))
    if (allowed.length > 0) void reply.header('allow', allowed.join(', '))
    void reply.code(status).headers(headers).send(body)
  })
  return app
}

/** HTTPS with the timeouts that Fastify gives its own server. */
function createTlsServer(handler: RequestListener, tls: ServerTls, limits: AppLimits) {
  const client = tls.clientCa === undefined ? {} : { ca: tls.clientCa, requestCert: true, rejectUnauthorized: true }
  const server = createHttpsServer({ cert: tls.cert, key: tls.key, noDelay: true, ...client }, handler)
  server.requestTimeout = limits.requestTimeoutMs
  server.keepAliveTimeout = 72_000
  server.on('clientError', answerBrokenHttp)
  return server
}

function createExchange(
  request: FastifyRequest,
  operation: string,
  replyHeaders: Readonly<Record<string, unknown>>,
  raw: ConstructorParameters<typeof Exchange>[0],
  { clock, sink, limits, logger, exchanges }: AppParts,
): Exchange {
  const exchange: Exchange = new Exchange(raw, {
    id: request.id,
    account: new RequestAccount({ requestId: request.id, operation }, clock, (record) => {
      exchanges.delete(exchange)
      sink(record)
    }),
    clock,
    limits,
    onFailure: (error, requestId) => logger.error({ err: error.cause ?? error, requestId }, error.message),
  })
  // A hijacked reply skips Fastify's own headers: those of CORS and the request's id travel by hand.
  exchange.setHeaders(replyHeaders as Readonly<Record<string, string>>)
  exchanges.add(exchange)
  return exchange
}

/** A request id that the client chose, where it is harmless in headers and logs. */
function acceptedId(header: string | string[] | undefined): string | undefined {
  return typeof header === 'string' && /^[\w.:-]{1,128}$/.test(header) ? header : undefined
}

/** Fastify's own refusals in our words. */
function fromFastify(error: FastifyError | Error, request: FastifyRequest, limits: AppLimits): TokenmillError {
  if (error instanceof TokenmillError || !('statusCode' in error)) return toTokenmillError(error)
  if (error.code === 'FST_ERR_CTP_BODY_TOO_LARGE') return bodyTooLarge(request, limits.maxBodyBytes)
  const status = error.statusCode ?? 500
  if (status >= 500) return toTokenmillError(error)
  return new TokenmillError('invalid_request', error.message, {}, error)
}

function bodyTooLarge(request: FastifyRequest, maximum: number): TokenmillError {
  const actual = Number(request.headers['content-length'])
  const known = Number.isFinite(actual)
  const size = known ? formatBytes(actual) : 'larger'
  return new TokenmillError(
    'limit_exceeded',
    `The request body is ${size}; the limit 'maxBodyBytes' is ${formatBytes(maximum)}. Send less, or start the server with --max-body-bytes.`,
    { limit: 'maxBodyBytes', maximum, unit: 'bytes', ...(known ? { actual } : {}) },
  )
}

function notFound(method: string, path: string, [other]: readonly string[]): TokenmillError {
  const shown = path.length > 200 ? `${path.slice(0, 200)}…` : path
  if (other !== undefined) {
    return new TokenmillError('method_not_allowed', `${method} is not allowed on ${shown}; use ${other}.`)
  }
  return new TokenmillError('not_found', `There is no ${method} ${shown}. docs/api.md lists what is served.`)
}

/** Bytes that are not HTTP: no request exists, so the answer is written by hand. */
function answerBrokenHttp(error: Error & { code?: string }, socket: Socket): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy()
    return
  }
  const large = error.code === 'HPE_HEADER_OVERFLOW'
  const late = error.code === 'ERR_HTTP_REQUEST_TIMEOUT'
  const status = large ? '431 Request Header Fields Too Large' : late ? '408 Request Timeout' : '400 Bad Request'
  const message = large
    ? 'The request headers are larger than 16 KiB.'
    : late
      ? 'The request did not arrive in time.'
      : 'The request is not valid HTTP/1.1.'
  const body = JSON.stringify(toErrorReply(new TokenmillError('invalid_request', message)).body)
  socket.end(
    `HTTP/1.1 ${status}\r\nconnection: close\r\ncontent-type: application/json\r\nx-request-id: ${createId('req')}\r\n` +
      `content-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  )
}
