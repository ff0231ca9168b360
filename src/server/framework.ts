import type { RequestListener, Server, ServerResponse } from 'node:http'
import { fastify, type FastifyError, type FastifyInstance } from 'fastify'
import { createId, TokenmillError, toTokenmillError } from '../core/index.ts'
import { toErrorReply } from '../protocol/index.ts'
import type { Logger } from '../telemetry/index.ts'
import { acceptedId, pathOf, withoutHost } from './data-plane.ts'
import type { Guard } from './guard.ts'
import type { ApiKeys } from './keys.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Answered without an API key: probes have none. */
    open?: boolean
  }
}

export interface FrameworkParts {
  readonly guard: Guard
  readonly keys: ApiKeys
  readonly logger: Logger
  /** Is there an operation of the data plane at this path? */
  readonly isDataPath: (path: string) => boolean
  /** Makes the server that listens: it hands on what is not for the data plane. */
  readonly createServer: (listener: RequestListener) => Server
  readonly draining: () => boolean
}

/**
 * Fastify, for everything that is not hot: what operators, probes and scrapers ask. It stands behind the data plane on the
 * same server; guard, keys and the table of errors are the same for both.
 */
export function createFramework(parts: FrameworkParts): FastifyInstance {
  const { guard, keys, logger, isDataPath, createServer, draining } = parts
  const app = fastify({
    serverFactory: createServer,
    // The server answers what is no HTTP by itself; a second answer would be read as that to another request.
    clientErrorHandler: () => undefined,
    logger: false,
    forceCloseConnections: true,
    genReqId: (raw) => acceptedId(raw.headers['x-request-id']) ?? createId('req'),
    rewriteUrl: ({ url = '/' }) => withoutHost(url).replace(/^\/+/, '/'),
    routerOptions: { ignoreTrailingSlash: true, ignoreDuplicateSlashes: true, maxParamLength: 512 },
    frameworkErrors: (error, request, reply) => {
      const { status, headers, body } = toErrorReply(fromFastify(error))
      // Before routing, Fastify types the reply for no route: the socket's own does.
      const raw: ServerResponse = reply.raw
      raw.writeHead(status, { ...headers, 'content-type': 'application/json', 'x-request-id': request.id })
      raw.end(JSON.stringify(body))
    },
  })

  app.addHook('onRequest', (request, reply, done) => {
    reply.header('x-request-id', request.id)
    if (draining()) reply.header('connection', 'close')
    const open = request.routeOptions.config.open === true
    try {
      guard.check(request.headers, open)
      if (!open) keys.check(request.headers)
      done()
    } catch (error) {
      done(toTokenmillError(error))
    }
  })

  app.setErrorHandler((thrown: FastifyError, request, reply) => {
    const error = fromFastify(thrown)
    if (error.code === 'internal') logger.error({ err: thrown, requestId: request.id }, 'internal error')
    const { status, headers, body } = toErrorReply(error)
    void reply.code(status).headers(headers).send(body)
  })

  app.setNotFoundHandler((request, reply) => {
    const path = pathOf(request.url)
    const allowed = (['GET', 'HEAD', 'POST'] as const).filter(
      (method) => app.hasRoute({ method, url: path }) || (method === 'POST' && isDataPath(path)),
    )
    const { status, headers, body } = toErrorReply(notFound(request.method, path, allowed))
    if (allowed.length > 0) void reply.header('allow', allowed.join(', '))
    void reply.code(status).headers(headers).send(body)
  })
  return app
}

/** Fastify's own refusals in our words. */
function fromFastify(error: FastifyError | Error): TokenmillError {
  if (error instanceof TokenmillError || !('statusCode' in error)) return toTokenmillError(error)
  if ((error.statusCode ?? 500) >= 500) return toTokenmillError(error)
  return new TokenmillError('invalid_request', error.message, {}, error)
}

function notFound(method: string, path: string, [other]: readonly string[]): TokenmillError {
  const shown = path.length > 200 ? `${path.slice(0, 200)}…` : path
  if (other !== undefined) {
    return new TokenmillError('method_not_allowed', `${method} is not allowed on ${shown}; use ${other}.`)
  }
  return new TokenmillError('not_found', `There is no ${method} ${shown}. docs/api.md lists what is served.`)
}
