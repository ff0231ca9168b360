import type { IncomingMessage } from 'node:http'

/**
 * What two readers of HTTP would understand differently in a request, which is how one client's bytes become part of
 * another's request behind a shared proxy (RFC 9112, sections 3.2 and 6.1); undefined where nothing is. Node's parser
 * refuses the rest by itself.
 */
export function framingProblem(request: IncomingMessage): string | undefined {
  const { rawHeaders, headers, url = '' } = request
  let hosts = 0
  let codings = 0
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = rawHeaders[at]
    if (name === undefined) continue
    if (name.length === 4 && name.toLowerCase() === 'host') hosts += 1
    else if (name.length === 17 && name.toLowerCase() === 'transfer-encoding') codings += 1
  }
  if (hosts > 1) return 'has several Host headers'
  if (codings > 1) return 'has several Transfer-Encoding headers'
  const coding = headers['transfer-encoding']
  if (coding !== undefined && coding.toLowerCase() !== 'chunked') {
    return `has the Transfer-Encoding ${JSON.stringify(coding.slice(0, 40))}; only chunked is read`
  }
  if (hosts === 0 && request.httpVersion !== '1.0') return 'has no Host header'
  // Absolute form: the address wins over Host (RFC 9112, 3.2.2), so they must agree.
  if (!url.startsWith('/') && url !== '*' && URL.parse(url)?.host !== headers.host?.toLowerCase()) {
    return 'names one host in its address and another in its Host header'
  }
  return undefined
}
