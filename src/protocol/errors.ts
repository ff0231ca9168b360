import { TokenmillError, type ErrorCode } from '../core/index.ts'

/** How a failed request is answered over HTTP. */
export interface ErrorReply {
  readonly status: number
  /** `retry-after`, `retry-after-ms`, `x-should-retry`, `www-authenticate`: where they say something. */
  readonly headers: Readonly<Record<string, string>>
  readonly body: OpenAiErrorBody
}

/** OpenAI's shape. All four keys are always there; client libraries read nothing outside of `error`. */
export interface OpenAiErrorBody {
  readonly error: {
    readonly message: string
    readonly type: string
    readonly param: string | null
    readonly code: string | null
    /** The figures behind the message: `limit`, `maximum`, `actual`, `available`, … */
    readonly details?: Readonly<Record<string, unknown>>
  }
}

interface Row {
  readonly status: number
  readonly type: string
  /** Where OpenAI's own name differs from ours. */
  readonly code?: string
  /** Sending the same request again can succeed. Output that was already produced and billed forbids it anyway. */
  readonly retry: boolean
  /** What clients read where the error's own message names or quotes an endpoint. */
  readonly publicWords?: string
}

/** The one table from our codes to HTTP and OpenAI. */
const rows: Readonly<Record<ErrorCode, Row>> = {
  invalid_request: { status: 400, type: 'invalid_request_error', retry: false },
  unsupported: { status: 400, type: 'invalid_request_error', retry: false },
  limit_exceeded: { status: 400, type: 'invalid_request_error', retry: false },
  context_length_exceeded: { status: 400, type: 'invalid_request_error', retry: false },
  unauthenticated: { status: 401, type: 'authentication_error', code: 'invalid_api_key', retry: false },
  forbidden: { status: 403, type: 'permission_error', retry: false },
  model_not_found: { status: 404, type: 'invalid_request_error', retry: false },
  not_found: { status: 404, type: 'invalid_request_error', retry: false },
  method_not_allowed: { status: 405, type: 'invalid_request_error', retry: false },
  queue_full: { status: 429, type: 'rate_limit_error', retry: true },
  rate_limited: {
    status: 429,
    type: 'rate_limit_error',
    code: 'rate_limit_exceeded',
    retry: true,
    publicWords: 'All endpoints of this model are at their limits.',
  },
  budget_exceeded: { status: 429, type: 'insufficient_quota', code: 'insufficient_quota', retry: false },
  unavailable: {
    status: 503,
    type: 'service_unavailable_error',
    retry: true,
    publicWords: 'No endpoint of this model can serve now.',
  },
  queue_timeout: { status: 503, type: 'service_unavailable_error', retry: true },
  deadline_exceeded: { status: 504, type: 'timeout_error', retry: false },
  cancelled: { status: 499, type: 'cancelled_error', retry: false },
  engine_failed: {
    status: 500,
    type: 'server_error',
    retry: true,
    publicWords: 'The engine of this model failed.',
  },
  upstream_failed: {
    status: 502,
    type: 'server_error',
    retry: true,
    publicWords: 'An endpoint of this model failed.',
  },
  upstream_timeout: {
    status: 504,
    type: 'timeout_error',
    retry: true,
    publicWords: 'An endpoint of this model did not answer in time.',
  },
  internal: { status: 500, type: 'server_error', retry: true },
  startup: { status: 500, type: 'server_error', retry: false },
}

/**
 * The error as clients may read it. Messages about an endpoint name its address and quote what it said, sometimes with keys:
 * clients get our own words and the request's id, under which the log tells the rest at `debug`.
 */
export function toPublicError(error: TokenmillError, requestId: string): TokenmillError {
  const { endpoint, connectionLost: _lost, ...details } = error.details
  if (endpoint === undefined) return error
  const words = rows[error.code].publicWords ?? 'An endpoint of this model could not do what was asked.'
  return new TokenmillError(
    error.code,
    `${words} The log tells the cause under the request id ${requestId}.`,
    details,
    error,
  )
}

/** The longest wait that OpenAI's client libraries honour. */
const maxRetryAfterMs = 60_000

/** Status, headers and body for an error. Causes and stacks stay inside. */
export function toErrorReply(error: TokenmillError): ErrorReply {
  const row = rows[error.code]
  const { retryAfterMs, outputStarted } = error.details
  const headers: Record<string, string> = {}
  if (!row.retry || outputStarted === true) headers['x-should-retry'] = 'false'
  else if (retryAfterMs !== undefined) {
    const waitMs = Math.min(maxRetryAfterMs, Math.max(0, Math.ceil(retryAfterMs)))
    headers['retry-after'] = String(Math.ceil(waitMs / 1000))
    headers['retry-after-ms'] = String(waitMs)
  }
  if (error.code === 'unauthenticated') headers['www-authenticate'] = 'Bearer'
  return { status: statusOf(error, row), headers, body: toErrorBody(error) }
}

/** The body alone: what a stream sends as its last event once the head is out. */
export function toErrorBody(error: TokenmillError): OpenAiErrorBody {
  const row = rows[error.code]
  const { param, ...figures } = { ...error.details, ...overflowOf(error) }
  const details = Object.keys(figures).length === 0 ? {} : { details: figures }
  // What went wrong inside may carry paths and addresses: it is logged, not sent.
  const message = error.code === 'internal' ? 'Internal error. The log names it under this request id.' : error.message
  return { error: { message, type: row.type, param: param ?? null, code: row.code ?? error.code, ...details } }
}

/** The figures of a prompt that is too long, by the names that clients of llama-server look for, too. */
function overflowOf({ code, details }: TokenmillError): Readonly<Record<string, unknown>> {
  if (code !== 'context_length_exceeded' || details.actual === undefined) return {}
  return { n_prompt_tokens: details.actual, n_ctx: details.maximum }
}

function statusOf(error: TokenmillError, row: Row): number {
  return error.code === 'limit_exceeded' && error.details.limit === 'maxBodyBytes' ? 413 : row.status
}
