/**
 * The one error class of the project. What a caller may do about it is in `code`; what it was about is in
 * `details`; what lies beneath is in `cause`. Messages end the search: the constraint, the current value, what
 * to do. A broken invariant is no TokenmillError: it throws AssertionError and is never translated.
 */
export class TokenmillError extends Error {
  readonly code: ErrorCode
  readonly details: ErrorDetails

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause })
    this.name = 'TokenmillError'
    this.code = code
    this.details = details
  }
}

/** Every way in which a request, or the start of the process, can fail. Mapped to each protocol in protocol/errors.ts. */
export type ErrorCode =
  // the request as written
  | 'invalid_request' // malformed or contradictory; `param` names the field
  | 'unsupported' // well formed, but this model or engine cannot honour it; never silently ignored
  | 'limit_exceeded' // `limit`, `maximum`, `actual`, `unit`
  | 'context_length_exceeded' // prompt and output do not fit the model's context
  // access
  | 'unauthenticated'
  | 'forbidden'
  | 'model_not_found'
  | 'not_found'
  | 'method_not_allowed'
  // rejected before queueing: nothing was spent
  | 'queue_full'
  | 'rate_limited'
  | 'budget_exceeded'
  | 'unavailable' // no replica can serve now: loading, down, draining
  // evicted after queueing
  | 'queue_timeout'
  | 'deadline_exceeded'
  // ended by the client
  | 'cancelled'
  // the engine or the upstream
  | 'engine_failed'
  | 'upstream_failed'
  | 'upstream_timeout'
  | 'internal'
  // the process cannot start: all configuration problems at once, exit code 78
  | 'startup'

export interface ErrorDetails {
  /** Name of the offending field, in the client's words, as a JSON path: `messages[2].content`. */
  readonly param?: string
  /** Name of the limit that was hit, as it is configured: `maxBodyBytes`. */
  readonly limit?: string
  readonly maximum?: number
  readonly actual?: number
  readonly unit?: string
  /** When a retry can succeed, milliseconds from now. Never above 60,000: clients ignore longer waits. */
  readonly retryAfterMs?: number
  /** Requests ahead of this one in the queue when it was refused. */
  readonly queuePosition?: number
  /** Address of the endpoint that failed. The message may name and quote it, so clients are told other words. */
  readonly endpoint?: string
  /** The endpoint took the request and then dropped the connection: its process may have died of it. */
  readonly connectionLost?: boolean
  /** Status that an upstream answered with. */
  readonly upstreamStatus?: number
  /** Names that exist, where the asked one does not. */
  readonly available?: readonly string[]
  /** True once output reached the client: a retry would repeat and bill it again. */
  readonly outputStarted?: boolean
}

/** The error as a TokenmillError: itself, a cancellation for aborts, else `internal` with the original as cause. */
export function toTokenmillError(error: unknown): TokenmillError {
  if (error instanceof TokenmillError) return error
  if (error instanceof Error && error.name === 'AbortError') {
    return new TokenmillError('cancelled', 'The request was cancelled by its client.', {}, error)
  }
  const message = error instanceof Error ? error.message : String(error)
  return new TokenmillError('internal', message, {}, error)
}

/** A limit error that states name, maximum, actual value and unit, then what to do. */
export function limitError(
  limit: { readonly name: string; readonly maximum: number; readonly unit: string },
  actual: number,
  subject: string,
  remedy: string,
  code: 'limit_exceeded' | 'context_length_exceeded' = 'limit_exceeded',
): TokenmillError {
  const message = `${subject} is ${actual} ${limit.unit}; the limit '${limit.name}' is ${limit.maximum} ${limit.unit}. ${remedy}`
  return new TokenmillError(code, message, {
    limit: limit.name,
    maximum: limit.maximum,
    actual,
    unit: limit.unit,
  })
}
