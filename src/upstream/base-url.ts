/** Where an endpoint's pages are. All paths are without a trailing slash. */
export interface BaseUrl {
  readonly origin: string
  /** Before pages of the server itself: `/health`, `/metrics`, `/tokenize`. */
  readonly root: string
  /** Before paths of the API, in place of `/v1`: `/chat/completions`, `/models`. */
  readonly api: string
  /** `api-version=2024-10-21`, sent with every request; empty where there is none. */
  readonly query: string
}

/**
 * A base URL as the provider's documentation gives it:
 *
 *   http://10.0.0.7:8000, …/v1, …/proxied          the API is below /v1
 *   …/api/paas/v4, …/api/v3                        a version at the end: the API is below it
 *   …/v1beta/openai, …/v1/openai                   a version within: the address is the API's as it stands
 *   …/openai/deployments/name?api-version=…        the same
 */
export function splitUrl(url: string): BaseUrl {
  const { origin, pathname, search } = new URL(url)
  const path = pathname.replace(/\/+$/, '')
  const query = search.slice(1)
  const end = /^(.*)\/v\d+$/.exec(path)
  if (end !== null) return { origin, root: end[1] ?? '', api: path, query }
  const isApi = /\/v\d+(?:alpha|beta)?\d*(?:\/|$)/.test(path) || path.includes('/openai/deployments/')
  return { origin, root: path, api: isApi ? path : `${path}/v1`, query }
}
