import { TokenmillError } from '../core/index.ts'

/** Base URL as the provider documents it, without a slash at its end. Throws `invalid_request` for what is none. */
export function parseBaseUrl(text: string): string {
  let url: URL
  try {
    url = new URL(text)
  } catch {
    throw new TokenmillError('invalid_request', `'${text}' is no URL; write http://127.0.0.1:8080/v1.`)
  }
  if (url.protocol !== 'http:' && url.protocol !== 'https:')
    throw new TokenmillError('invalid_request', `'${text}' has protocol ${url.protocol}; http and https are measured.`)
  if (url.username !== '' || url.password !== '')
    throw new TokenmillError(
      'invalid_request',
      `The URL of ${url.host} holds a password; give it by --api-key or --header.`,
    )
  return `${url.origin}${trimmedPath(url)}${url.search}`
}

/** The URL of an operation below a base URL. A query string of the base stays behind it: `…/chat/completions?api-version=1`. */
export function operationUrl(base: string, operation: string): URL {
  const url = new URL(base)
  url.pathname = `${trimmedPath(url)}/${operation}`
  return url
}

/**
 * What an engine serves beside its API: `/metrics` and `/tokenize` stand where `/v1` does. Undefined for a base URL with
 * another path, which is a provider's and has neither.
 */
export function besideApiUrl(base: string, name: string): string | undefined {
  const url = new URL(base)
  const path = trimmedPath(url)
  if (path !== '' && !path.endsWith('/v1')) return undefined
  return `${url.origin}${path.replace(/\/v1$/, '')}/${name}`
}

/** What to try where a bare origin has answered 404; undefined for a base URL with a path. */
export function suggestedBaseUrl(base: string): string | undefined {
  const url = new URL(base)
  return trimmedPath(url) === '' ? `${url.origin}/v1${url.search}` : undefined
}

function trimmedPath(url: URL): string {
  return url.pathname.replace(/\/+$/, '')
}
