import type { IncomingMessage } from 'node:http'
import { TokenmillError } from '../core/index.ts'

/**
 * Refuses requests that two readers of HTTP would understand differently, which is how one client's bytes become part of
 * another's request behind a shared proxy (RFC 9112, sections 3.2 and 6.1; Node's parser refuses the rest by itself). Such a
 * request is answered 400 and its connection closed. Throws `invalid_request`.
 */
export function requireSoundFraming(request: IncomingMessage): void {
  const { rawHeaders, headers, url = '' } = request
  let hosts = 0
  let codings = 0
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = rawHeaders[at]
    if (name === undefined) continue
    if (name.length === 4 && name.toLowerCase() === 'host') hosts += 1
    else if (name.length === 17 && name.toLowerCase() === 'transfer-encoding') codings += 1
  }
  if (hosts > 1) throw malformed('has several Host headers')
  if (codings > 1) throw malformed('has several Transfer-Encoding headers')
  const coding = headers['transfer-encoding']
  if (coding !== undefined && coding.toLowerCase() !== 'chunked') {
    throw malformed(`has the Transfer-Encoding ${JSON.stringify(coding.slice(0, 40))}; only chunked is read`)
  }
  if (hosts === 0 && request.httpVersion !== '1.0') throw malformed('has no Host header')
  // Absolute form: the address wins over Host (RFC 9112, 3.2.2), so they must agree.
  if (!url.startsWith('/') && url !== '*' && hostOf(url) !== headers.host?.toLowerCase()) {
    throw malformed('names one host in its address and another in its Host header')
  }
}

function hostOf(url: string): string | undefined {
  return URL.parse(url)?.host
}

function malformed(problem: string): TokenmillError {
  return new TokenmillError('invalid_request', `The request ${problem}. Send it as HTTP/1.1 asks.`)
}
