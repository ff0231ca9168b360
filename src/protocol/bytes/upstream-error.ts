import { TokenmillError, type ErrorCode, type ErrorDetails } from '../../core/index.ts'

/**
 * One error out of the five shapes that engines answer with:
 *
 *   {"error":{"message","type","param","code"}}       OpenAI, vLLM, llama-server (code may be a number)
 *   {"object":"error","message","type","param","code"} SGLang, trtllm-serve, old vLLM
 *   {"error":"text"} and {"error":"text","error_type"} trtllm-serve, TGI, Ollama, Triton
 *   {"detail":"text"} and {"detail":[{msg,loc}]}       FastAPI's own
 *   anything else: HTML of a proxy, plain text, nothing
 */
export interface UpstreamErrorBody {
  readonly message: string | undefined
  readonly type: string | undefined
  readonly param: string | undefined
  readonly code: string | undefined
  /** The figures behind the message, where the upstream is another Tokenmill. */
  readonly figures?: Pick<ErrorDetails, 'limit' | 'maximum' | 'actual' | 'unit'>
}

/** What an error body says. Never throws. */
export function readErrorBody(body: string): UpstreamErrorBody {
  let parsed: unknown
  try {
    // Triton's generate_stream answers an error with its status and as an event.
    parsed = JSON.parse(body.replace(/^data:/, ''))
  } catch {
    return { message: undefined, type: undefined, param: undefined, code: undefined }
  }
  return readErrorValue(parsed)
}

function readErrorValue(parsed: unknown): UpstreamErrorBody {
  if (typeof parsed === 'string') return { message: parsed, type: undefined, param: undefined, code: undefined }
  if (!isRecord(parsed)) return { message: undefined, type: undefined, param: undefined, code: undefined }
  if (isRecord(parsed['error'])) return readErrorValue(parsed['error'])
  const message = text(parsed['message']) ?? text(parsed['error']) ?? detailOf(parsed['detail'])
  const type = text(parsed['type']) ?? text(parsed['error_type'])
  const figures = isRecord(parsed['details']) ? { figures: readFigures(parsed['details']) } : {}
  return { message, type, param: text(parsed['param']), code: text(parsed['code']), ...figures }
}

/**
 * The error that an upstream's answer stands for. 401 and 403 concern our credentials, not the client's, and such
 * bodies may quote a part of the key: they become `upstream_failed`, and their text is dropped.
 */
export function upstreamError(
  endpoint: string,
  status: number,
  body: string,
  retryAfterMs: number | undefined,
): TokenmillError {
  const said = readErrorBody(body)
  const code = codeOf(status, said)
  const details: ErrorDetails = {
    ...said.figures,
    upstreamStatus: status,
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
    ...(said.param === undefined ? {} : { param: said.param }),
  }
  if (status === 401 || status === 403) {
    const message = `The endpoint ${endpoint} refused our credentials (status ${status}). Check its apiKey in the configuration.`
    return new TokenmillError(code, message, details)
  }
  const explained = said.message ?? `it answered with status ${status} and no error in JSON`
  if (clientFaults.has(code)) return new TokenmillError(code, explained, details)
  return new TokenmillError(code, `The endpoint ${endpoint} failed: ${shorten(explained)}`, details)
}

/** The error in an event of a stream that began well (`data: {"error": …}`). Its status, if any, is in its code. */
export function streamError(endpoint: string, event: string): TokenmillError {
  const said = readErrorBody(event)
  const status = Number(said.code)
  const known = Number.isInteger(status) && status >= 400 && status < 600
  return upstreamError(endpoint, known ? status : 500, event, undefined)
}

/** An upstream sends more than we hold: its failure, not the client's, so another may serve. */
export function upstreamTooLarge(subject: string, limit: string, maximum: number, actual: number): TokenmillError {
  const message = `${subject} is ${actual} bytes; the limit '${limit}' is ${maximum} bytes. Raise the limit if the upstream is sound.`
  return new TokenmillError('upstream_failed', message, { limit, maximum, actual, unit: 'bytes' })
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

/** Errors whose cause is in the request: another endpoint would say the same, and the words are for the client. */
const clientFaults: ReadonlySet<ErrorCode> = new Set([
  'invalid_request',
  'unsupported',
  'limit_exceeded',
  'context_length_exceeded',
])

function codeOf(status: number, said: UpstreamErrorBody): ErrorCode {
  if (status === 400 || status === 413 || status === 422) {
    if (isContextOverflow(said)) return 'context_length_exceeded'
    return status === 413 ? 'limit_exceeded' : 'invalid_request'
  }
  if (status === 404 && isMissingModel(said)) return 'upstream_failed'
  if (status === 404 || status === 405 || status === 501) return 'unsupported'
  if (status === 408 || status === 504) return 'upstream_timeout'
  if (status === 429) return 'rate_limited'
  if (status === 503 || status === 529) return 'unavailable'
  if (status === 415) return 'invalid_request'
  return isContextOverflow(said) ? 'context_length_exceeded' : 'upstream_failed'
}

/** OpenAI's code; llama-server's type; vLLM's, SGLang's and TensorRT-LLM's wording. */
function isContextOverflow(said: UpstreamErrorBody): boolean {
  if (said.code === 'context_length_exceeded' || said.type === 'exceed_context_size_error') return true
  return /maximum context length|context length of only|longer than the model's context|exceeds? the (?:available )?context (?:size|length)|max_seq_len/i.test(
    said.message ?? '',
  )
}

function isMissingModel(said: UpstreamErrorBody): boolean {
  return said.code === 'model_not_found' || /model .*(?:does not exist|not found)/i.test(said.message ?? '')
}

function readFigures(details: Record<string, unknown>): NonNullable<UpstreamErrorBody['figures']> {
  const { limit, maximum, actual, unit } = details
  return {
    ...(typeof limit === 'string' ? { limit } : {}),
    ...(typeof maximum === 'number' ? { maximum } : {}),
    ...(typeof actual === 'number' ? { actual } : {}),
    ...(typeof unit === 'string' ? { unit } : {}),
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function text(value: unknown): string | undefined {
  if (typeof value === 'string' && value !== '') return value
  return typeof value === 'number' ? String(value) : undefined
}

function detailOf(detail: unknown): string | undefined {
  if (typeof detail === 'string') return detail
  if (!Array.isArray(detail)) return undefined
  const parts = detail.filter(isRecord).map((part) => {
    const place = Array.isArray(part['loc']) ? `${part['loc'].join('.')}: ` : ''
    return `${place}${text(part['msg']) ?? 'invalid'}`
  })
  return parts.length === 0 ? undefined : parts.join('; ')
}

/** Upstream texts can be stack traces; 500 characters tell what happened. */
function shorten(message: string): string {
  return message.length <= 500 ? message : `${message.slice(0, 500)}…`
}
