import { TokenmillError } from '../core/index.ts'
import { operationUrl, suggestedBaseUrl } from './endpoint-url.ts'
import { fetchText, type FetchedText } from './fetch-text.ts'
import { whenReady, type Patience } from './readiness.ts'

const limitMs = 10_000

/** The one model that the endpoint serves. Throws `invalid_request` with the names where there are several. */
export async function findModel(
  url: string,
  headers: Readonly<Record<string, string>>,
  patience: Patience,
): Promise<string> {
  const { href } = operationUrl(url, 'models')
  const ids = await listModels(href, headers, patience).catch((error: unknown) => {
    throw new TokenmillError(
      'upstream_failed',
      `${href} gives no list of models: ${causeOf(error)}. ${advice(url, error)}`,
      {},
      error,
    )
  })
  const [only] = ids
  if (ids.length === 1 && only !== undefined) return only
  const known = ids.length === 0 ? 'none' : ids.slice(0, 20).join(', ')
  throw new TokenmillError('invalid_request', `${url} serves ${known}: choose one by --model.`, { available: ids })
}

async function listModels(
  href: string,
  headers: Readonly<Record<string, string>>,
  patience: Patience,
): Promise<readonly string[]> {
  const { clock, stop } = patience
  const ask = (): Promise<FetchedText | string> =>
    fetchText(href, { limitMs, clock, headers, stop }).catch((error: unknown) => {
      if (patience.unheard) return causeOf(error)
      throw error
    })
  const loading = (answer: FetchedText | string): string | undefined => {
    if (typeof answer === 'string') return answer
    return answer.status === 503 ? `503: ${answer.statusText}` : undefined
  }
  const answer = await whenReady(href, ask, loading, patience)
  if (typeof answer === 'string') throw new Error(answer)
  if (answer.status !== 200) throw new StatusError(answer.status)
  const { data } = JSON.parse(answer.text) as { data?: readonly { id?: unknown }[] }
  return (data ?? []).map((model) => model.id).filter((id): id is string => typeof id === 'string')
}

class StatusError extends Error {
  readonly status: number
  constructor(status: number) {
    super(`status ${status}`)
    this.status = status
  }
}

function advice(url: string, error: unknown): string {
  const suggested = suggestedBaseUrl(url)
  if (error instanceof StatusError && error.status === 404 && suggested !== undefined) return `Try ${suggested}.`
  return 'Name one by --model, or wait for the server by --ready-timeout.'
}

function causeOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  return error.cause instanceof Error ? error.cause.message : error.message
}
