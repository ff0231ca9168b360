import type { IncomingMessage, ServerResponse } from 'node:http'

/** Headers of answers that a page's script may read. */
const exposedHeaders = 'x-request-id, retry-after, retry-after-ms, x-should-retry'

/** How long browsers may remember a preflight's answer. */
const maxAgeSeconds = 600

/**
 * Tells browsers which pages may read the answers (Fetch standard, "CORS protocol"). Who may call at all is the guard's
 * matter; this only adds headers, and answers preflights.
 */
export class Cors {
  readonly #origins: ReadonlySet<string>

  constructor(origins: readonly string[]) {
    this.#origins = new Set(origins)
  }

  /** Adds the headers for a page's request. True where it was a preflight, which is answered then. */
  handle(request: IncomingMessage, response: ServerResponse): boolean {
    const { origin } = request.headers
    if (origin === undefined || this.#origins.size === 0) return false
    const any = this.#origins.has('*')
    if (!any) response.setHeader('vary', 'Origin')
    if (!any && !this.#origins.has(origin)) return false
    response.setHeader('access-control-allow-origin', any ? '*' : origin)
    if (request.method !== 'OPTIONS' || request.headers['access-control-request-method'] === undefined) {
      response.setHeader('access-control-expose-headers', exposedHeaders)
      return false
    }
    response.setHeader('access-control-allow-methods', 'GET, POST')
    const asked = request.headers['access-control-request-headers']
    if (asked !== undefined) response.setHeader('access-control-allow-headers', asked)
    response.setHeader('access-control-max-age', String(maxAgeSeconds))
    response.writeHead(204, { 'content-length': '0' }).end()
    return true
  }
}
