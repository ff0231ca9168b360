import { isIP } from 'node:net'
import { TokenmillError } from '../core/index.ts'
import { parseOrigin } from './options.ts'

/** Whether an address to listen on is reachable from this machine alone. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'))
}

export interface GuardSettings {
  /** Address the server listens on. */
  readonly host: string
  readonly allowedHosts: readonly string[]
  readonly corsOrigins: readonly string[]
}

/**
 * Keeps foreign web pages out. Any page can send requests to loopback from its visitor's browser, so a request
 * with a foreign Origin is refused; and a page's own name can be made to resolve to loopback (DNS rebinding), so
 * on loopback a Host that is not ours is refused.
 */
export class Guard {
  readonly #checkHost: boolean
  readonly #hosts: ReadonlySet<string>
  readonly #origins: ReadonlySet<string>

  constructor({ host, allowedHosts, corsOrigins }: GuardSettings) {
    // Beyond loopback the names that lead here are unknown, unless somebody lists them.
    this.#checkHost = isLoopback(host) || allowedHosts.length > 0
    this.#hosts = new Set(['localhost', '127.0.0.1', '[::1]', host, ...allowedHosts].map((name) => name.toLowerCase()))
    this.#origins = new Set(corsOrigins.map((origin) => parseOrigin(origin) ?? origin))
  }

  /** Throws `forbidden`. A probe of HTTP/1.0 may lack the Host, which tells nothing that would have to be kept from it. */
  check(headers: { readonly host?: string | undefined; readonly origin?: string | undefined }, probe = false): void {
    if (probe && headers.host === undefined && headers.origin === undefined) return
    const name = hostName(headers.host ?? '')
    if (this.#checkHost && !this.#hosts.has(name) && !name.endsWith('.localhost')) {
      throw new TokenmillError(
        'forbidden',
        `The Host ${quote(headers.host)} is not served here. Call ${[...this.#hosts].join(', ')}, or start with --allowed-host.`,
      )
    }
    const { origin } = headers
    if (origin === undefined || this.#origins.has('*') || this.#origins.has(origin.toLowerCase())) return
    // A page served from here, such as the console, sends its own origin with a POST.
    if (URL.canParse(origin) && new URL(origin).host === headers.host) return
    throw new TokenmillError(
      'forbidden',
      `Pages of the origin ${quote(origin)} may not call this server. Start it with --cors-origin to allow them.`,
    )
  }
}

/** The name without the port, in lower case; IPv6 keeps its brackets. */
function hostName(host: string): string {
  return host.toLowerCase().replace(/:\d*$/, '')
}

function quote(text: string | undefined): string {
  return JSON.stringify((text ?? '').slice(0, 100))
}
