import { TokenmillError, type ErrorCode, type ErrorDetails } from '../../core/index.ts'
import { readErrorBody, type UpstreamFailure } from './upstream-failure.ts'

/** An answer outside 2xx, as far as its meaning needs it. */
export interface FailedAnswer {
  readonly status: number
  readonly body: string
  readonly retryAfterMs?: number | undefined
  /** Where a redirect points. */
  readonly location?: string | undefined
}

/**
 * The error that an answer outside 2xx stands for. Errors about the endpoint carry `details.endpoint`, and their message
 * may quote the endpoint: `toPublicError` keeps it from clients. Errors about the request are for the client to read:
 * addresses and keys are taken out of them.
 *
 * Only a JSON error says that the request is at fault. An HTML page or a plain text with status 400, 404, 405 or 413 comes
 * from a proxy, an ingress or a wrong address.
 */
export function upstreamError(endpoint: string, answer: FailedAnswer): TokenmillError {
  const { status, body, location } = answer
  if (status < 400) {
    const where = location === undefined ? 'no address' : `'${location}'`
    const message = `answered with a redirect to ${where} (status ${status}), and redirects are not followed. Configure the address that answers.`
    return endpointError('upstream_failed', endpoint, message, { upstreamStatus: status })
  }
  return failureError(endpoint, readErrorBody(body), status, answer.retryAfterMs)
}

/** The error of a failure under status 200: an event of a stream, or a whole answer. */
export function streamError(endpoint: string, failure: UpstreamFailure): TokenmillError {
  return failureError(endpoint, failure, failure.status ?? 500, undefined)
}

/** An upstream sends more than we hold: its failure, not the client's, so another may serve. */
export function upstreamTooLarge(subject: string, limit: string, maximum: number, actual: number): TokenmillError {
  const message = `${subject} is ${actual} bytes; the limit '${limit}' is ${maximum} bytes. Raise the limit if the upstream is sound.`
  return new TokenmillError('upstream_failed', message, { limit, maximum, actual, unit: 'bytes' })
}

/** An error about an endpoint: `problem` goes on after its address. */
export function endpointError(
  code: ErrorCode,
  endpoint: string,
  problem: string,
  details: ErrorDetails = {},
  cause?: unknown,
): TokenmillError {
  return new TokenmillError(code, `The endpoint ${endpoint} ${problem}`, { ...details, endpoint }, cause)
}

/** Milliseconds from `retry-after-ms`, else `retry-after` in seconds or as a date; undefined without either. */
export function readRetryAfterMs(
  headers: Readonly<Record<string, string | string[] | undefined>>,
  wallTimeMs: number,
): number | undefined {
  const precise = Number(headers['retry-after-ms'] ?? Number.NaN)
  if (Number.isFinite(precise) && precise >= 0) return precise
  const value = headers['retry-after']
  if (typeof value !== 'string') return undefined
  const seconds = Number(value)
  if (Number.isFinite(seconds)) return Math.max(0, seconds * 1000)
  const date = Date.parse(value)
  return Number.isNaN(date) ? undefined : Math.max(0, date - wallTimeMs)
}

function failureError(
  endpoint: string,
  said: UpstreamFailure,
  status: number,
  retryAfterMs: number | undefined,
): TokenmillError {
  const code = codeOf(status, said)
  const pauseMs = retryAfterMs ?? (status === 503 && code === 'rate_limited' ? fullQueuePauseMs : undefined)
  const details: ErrorDetails = {
    ...said.figures,
    upstreamStatus: status,
    ...(pauseMs === undefined ? {} : { retryAfterMs: pauseMs }),
    ...(said.param === undefined ? {} : { param: said.param }),
  }
  if (isRefusedKey(status, said)) {
    const message = `refused our credentials (status ${status}). Check its apiKey in the configuration.`
    return endpointError('upstream_failed', endpoint, message, { upstreamStatus: status })
  }
  if (said.message === undefined && said.code === undefined) {
    return endpointError(code, endpoint, `answered with status ${status} and no error in JSON.`, details)
  }
  const words = shorten(said.message ?? `it failed with the code '${said.code ?? ''}'`)
  if (clientFaults.has(code)) return new TokenmillError(code, withoutSecrets(words, endpoint), details)
  if (code === 'unsupported') {
    // FastAPI's words for a path that it does not have say less than ours.
    const why = /^(?:not found|method not allowed|not implemented)\.?$/i.test(words)
      ? ''
      : ` ${withoutSecrets(words, endpoint)}`
    const message = `The endpoint of this model does not offer this operation (status ${status}).${why}`
    return new TokenmillError(code, message, details)
  }
  return endpointError(code, endpoint, `failed: ${words}`, details)
}

/** A full queue empties with the next request that ends. */
const fullQueuePauseMs = 250

/** Errors whose cause is in the request: another endpoint would say the same, and the words are for the client. */
const clientFaults: ReadonlySet<ErrorCode> = new Set(['invalid_request', 'limit_exceeded', 'context_length_exceeded'])

function codeOf(status: number, said: UpstreamFailure): ErrorCode {
  if (isContextOverflow(said)) return 'context_length_exceeded'
  if (status === 408 || status === 504) return 'upstream_timeout'
  if (status === 429) return 'rate_limited'
  if (status === 503 || status === 529) return isFullQueue(said) ? 'rate_limited' : 'unavailable'
  const explained = said.message !== undefined
  if (!explained || isMissingDeployment(said)) return 'upstream_failed'
  if (status === 400 || status === 415 || status === 422) return 'invalid_request'
  if (status === 413) return 'limit_exceeded'
  return status === 404 || status === 405 || status === 501 ? 'unsupported' : 'upstream_failed'
}

/** 401, 403, and the 400 by which some providers refuse a key. Their words may quote a part of it. */
function isRefusedKey(status: number, said: UpstreamFailure): boolean {
  if (status === 401 || status === 403) return true
  return (
    /invalid_api_key|API_KEY_INVALID/.test(said.code ?? '') ||
    /\bAPI key (?:not valid|is invalid)|\b(?:incorrect|invalid) API key/i.test(said.message ?? '')
  )
}

/** vLLM (`QueueOverflowError`, `MaxQueuedTokensError`) and SGLang answer 503 where their queue is full: they are well. */
function isFullQueue(said: UpstreamFailure): boolean {
  return /currently busy and cannot accept|token backlog limit|queue is full|server.?overloaded|model is overloaded/i.test(
    `${said.code ?? ''} ${said.message ?? ''}`,
  )
}

/** OpenAI's code; llama-server's type; vLLM's, SGLang's and TensorRT-LLM's wording. */
function isContextOverflow(said: UpstreamFailure): boolean {
  if (said.code === 'context_length_exceeded' || said.type === 'exceed_context_size_error') return true
  return /maximum context length|context length of only|longer than the model's context|exceeds? the (?:available )?context (?:size|length)|max_seq_len/i.test(
    said.message ?? '',
  )
}

/** The endpoint does not have what the configuration says it has: not for the client to mend. */
function isMissingDeployment(said: UpstreamFailure): boolean {
  if (said.code === 'model_not_found' || said.code === 'DeploymentNotFound') return true
  return /model .*(?:does not exist|not found)|deployment .*does not exist/i.test(said.message ?? '')
}

/** Words for the client: without addresses, and without what looks like a key. */
function withoutSecrets(words: string, endpoint: string): string {
  return words
    .replaceAll(endpoint, 'the endpoint')
    .replaceAll(/\b(?:https?|grpcs?):\/\/\S+/gi, '(address)')
    .replaceAll(/\b(?:Bearer\s+\S+|(?:sk|pk|hf|gsk|xai|nvapi|AIza)[-_A-Za-z0-9]{12,})/g, '(key)')
}

/** Upstream texts can be stack traces; 500 characters tell what happened. */
function shorten(message: string): string {
  return message.length <= 500 ? message : `${message.slice(0, 500)}…`
}
