import { linkedController, TokenmillError, type Clock } from '../core/index.ts'

export interface FetchedText {
  readonly status: number
  readonly statusText: string
  readonly text: string
}

export interface FetchOptions {
  readonly limitMs: number
  readonly clock: Clock
  readonly headers?: Readonly<Record<string, string>>
  /** JSON to post; without it the request is a GET. */
  readonly body?: string
  readonly stop?: AbortSignal
}

/** A small answer, read whole. Throws what `fetch` throws, or `upstream_timeout` beyond the limit. */
export async function fetchText(url: string, options: FetchOptions): Promise<FetchedText> {
  const { limitMs, clock, headers = {}, body, stop = new AbortController().signal } = options
  const { controller, unlink } = linkedController(stop)
  const cancelTimer = clock.schedule(limitMs, () =>
    controller.abort(new TokenmillError('upstream_timeout', `${url} gave no answer within ${limitMs} ms.`)),
  )
  try {
    const post = { method: 'POST', headers: { 'content-type': 'application/json', ...headers }, body: body ?? null }
    const response = await fetch(url, {
      ...(body === undefined ? { headers } : post),
      signal: controller.signal,
    })
    return { status: response.status, statusText: response.statusText, text: await response.text() }
  } finally {
    cancelTimer()
    unlink()
  }
}
