import { TokenmillError } from '../core/index.ts'
import { endpointError } from '../protocol/index.ts'

/** What went wrong on the way, without the headers or the body that undici's errors may hold. */
export function connectionError(name: string, error: Error): TokenmillError {
  // Our own, from `close`.
  if (error instanceof TokenmillError) return error
  const code = errorCode(error)
  const reason = reasons[code]
  if (timeouts.has(code)) {
    return endpointError('upstream_timeout', name, `${reason ?? 'did not answer in time'} (${code}).`)
  }
  const told =
    reason ??
    (code.includes('CERT') || code.includes('TLS') || code.includes('SSL')
      ? `failed TLS: ${error.message}`
      : `broke the connection: ${error.message}`)
  return endpointError('upstream_failed', name, `${told} (${code}).`, lost.has(code) ? { connectionLost: true } : {})
}

function errorCode(error: Error): string {
  const own = (error as { code?: unknown }).code
  if (typeof own === 'string') return own
  // Several addresses tried, all in vain: the first tells as much as any.
  const first: unknown = error instanceof AggregateError ? error.errors[0] : undefined
  return first instanceof Error ? errorCode(first) : error.name
}

const timeouts = new Set(['UND_ERR_CONNECT_TIMEOUT', 'UND_ERR_HEADERS_TIMEOUT', 'UND_ERR_BODY_TIMEOUT', 'ETIMEDOUT'])

/** After the request was taken: a refused connection, or one to no host, is none of these. */
const lost = new Set(['ECONNRESET', 'EPIPE', 'UND_ERR_SOCKET'])

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
