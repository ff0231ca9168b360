import type { ErrorDetails } from '../../core/index.ts'

/**
 * What an upstream says went wrong, in its own words. Engines and providers say it in many shapes, also under status 200:
 *
 *   {"error":{"message","type","param","code"}}        OpenAI, vLLM, llama-server (code may be a number)
 *   {"object":"error","message","type","param","code"} SGLang, trtllm-serve, old vLLM
 *   {"error":"text"} and {"error":"text","error_type"} trtllm-serve, TGI, Ollama, Triton
 *   {"detail":"text"} and {"detail":[{msg,loc}]}       FastAPI's own
 *   {"code","message"}, {"error_code","error_msg"}     DashScope, Qianfan, API gateways
 *   {"errors":[{"message"}]}, [{"error":{…}}]          Cloudflare, Gemini
 *   event: error                                       an event's name, whatever its data
 *   {"choices":[{"finish_reason":"error"}]}            the sequence was given up: OpenRouter, vLLM, SGLang ("abort")
 */
export interface UpstreamFailure {
  readonly message: string | undefined
  readonly type: string | undefined
  readonly param: string | undefined
  readonly code: string | undefined
  /** The HTTP status that the body itself tells, 400 to 599. */
  readonly status: number | undefined
  /** The figures behind the message, where the upstream is another Tokenmill. */
  readonly figures?: Pick<ErrorDetails, 'limit' | 'maximum' | 'actual' | 'unit'>
}

/** Finish reasons by which a sequence ends without being whole. */
export const failedFinishReasons: ReadonlySet<string> = new Set([
  'error',
  'abort',
  // DeepSeek's and Zhipu's words for the same.
  'insufficient_system_resource',
  'network_error',
])

/**
 * The failure in one event of a stream, parsed; undefined where the event is a chunk. `event` is the event's name. That
 * a stream ended with `[DONE]` and no choice at all is for the reader of the whole stream to see: `emptyStream`.
 */
export function readEventFailure(value: unknown, event?: string): UpstreamFailure | undefined {
  if (event === 'error') return readFailure(value) ?? { ...nothingSaid, message: text(value) }
  if (!isRecord(value))
    return readFailure(value) ?? { ...nothingSaid, message: 'it sent an event that is no JSON object' }
  return readFailure(value) ?? readGivenUp(value)
}

/** The failure in a whole generated answer, parsed; undefined where it has at least one choice that ended well. */
export function readAnswerFailure(value: unknown): UpstreamFailure | undefined {
  const failure = readFailure(value)
  if (failure !== undefined) return failure
  if (!isRecord(value))
    return { ...nothingSaid, message: `it answered with ${describe(value)} instead of a JSON object` }
  if (listOf(value['choices']).length === 0) return { ...nothingSaid, message: 'its answer has no choices' }
  return readGivenUp(value)
}

/** A stream that was declared complete and held neither output nor a finish reason. */
export const emptyStream: UpstreamFailure = {
  message: 'its stream ended without output and without a finish reason',
  type: undefined,
  param: undefined,
  code: undefined,
  status: undefined,
}

/** What the body of an answer outside 2xx says, parsed or not. Never throws. */
export function readErrorBody(body: string): UpstreamFailure {
  try {
    // Triton's generate_stream answers an error with its status and as an event.
    const parsed: unknown = JSON.parse(body.replace(/^data:/, ''))
    return readFailure(parsed) ?? (isRecord(parsed) ? flatFailure(parsed) : { ...nothingSaid, message: text(parsed) })
  } catch {
    return nothingSaid
  }
}

/** The failure that a value is, by its shape alone; undefined for anything that holds output. */
export function readFailure(value: unknown): UpstreamFailure | undefined {
  if (Array.isArray(value)) return isRecord(value[0]) && isSet(value[0]['error']) ? readFailure(value[0]) : undefined
  if (!isRecord(value)) return undefined
  const { error } = value
  if (isRecord(error)) return readFailure(error) ?? flatFailure(error)
  if (isSet(error)) return flatFailure(value)
  // Chunks and answers may carry anything beside their output.
  if (outputKeys.some((key) => isSet(value[key]))) return undefined
  const [first] = listOf(value['errors'])
  if (isRecord(first)) return flatFailure(first)
  const failure = flatFailure(value)
  const says = failure.message !== undefined || failure.status !== undefined
  return value['object'] === 'error' || value['type'] === 'error' || says ? failure : undefined
}

const outputKeys = ['choices', 'usage', 'data', 'results', 'tokens', 'prompt', 'content', 'text'] as const

const nothingSaid: UpstreamFailure = {
  message: undefined,
  type: undefined,
  param: undefined,
  code: undefined,
  status: undefined,
}

function flatFailure(value: Readonly<Record<string, unknown>>): UpstreamFailure {
  const code = text(value['code']) ?? text(value['error_code'])
  const type = text(value['type']) ?? text(value['error_type'])
  const message =
    messageKeys.map((key) => text(value[key])).find((each) => each !== undefined) ?? detailOf(value['detail'])
  const status = [code, value['status_code'], value['status'], value['http_status']].map(toStatus).find(Boolean)
  const figures = isRecord(value['details']) ? { figures: readFigures(value['details']) } : {}
  return { message, type, param: text(value['param']), code, status: status ?? statusOfWord(code ?? type), ...figures }
}

const messageKeys = ['message', 'error', 'msg', 'error_msg', 'error_message', 'errorMessage'] as const

/** A choice that ended by one of `failedFinishReasons`. */
function readGivenUp(value: Readonly<Record<string, unknown>>): UpstreamFailure | undefined {
  for (const choice of listOf(value['choices'])) {
    if (!isRecord(choice)) continue
    const reason = choice['finish_reason']
    if (typeof reason !== 'string' || !failedFinishReasons.has(reason)) continue
    const told = readFailure(choice)
    return told ?? { ...nothingSaid, message: `it gave the sequence up (finish reason '${reason}')` }
  }
  return undefined
}

function toStatus(value: unknown): number | undefined {
  const status = typeof value === 'string' || typeof value === 'number' ? Number(value) : Number.NaN
  return Number.isInteger(status) && status >= 400 && status < 600 ? status : undefined
}

/** Providers that tell the status as a word. */
function statusOfWord(word: string | undefined): number | undefined {
  if (word === undefined) return undefined
  if (/rate.?limit|throttl|too.?many.?requests|resource.?exhausted|insufficient_quota/i.test(word)) return 429
  return /overloaded|unavailable/i.test(word) ? 503 : undefined
}

function readFigures(details: Readonly<Record<string, unknown>>): NonNullable<UpstreamFailure['figures']> {
  const { limit, maximum, actual, unit } = details
  return {
    ...(typeof limit === 'string' ? { limit } : {}),
    ...(typeof maximum === 'number' ? { maximum } : {}),
    ...(typeof actual === 'number' ? { actual } : {}),
    ...(typeof unit === 'string' ? { unit } : {}),
  }
}

function detailOf(detail: unknown): string | undefined {
  if (typeof detail === 'string') return detail
  if (isRecord(detail)) return text(detail['message']) ?? text(detail['msg'])
  const parts = listOf(detail)
    .filter(isRecord)
    .map((part) => {
      const place = Array.isArray(part['loc']) ? `${part['loc'].join('.')}: ` : ''
      return `${place}${text(part['msg']) ?? 'invalid'}`
    })
  return parts.length === 0 ? undefined : parts.join('; ')
}

function describe(value: unknown): string {
  if (Array.isArray(value)) return 'a list'
  return typeof value === 'string' ? `the text '${value.slice(0, 80)}'` : String(value)
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : []
}

/** Some engines write `"error": null` or `""` on every chunk. */
function isSet(value: unknown): boolean {
  return value !== undefined && value !== null && value !== false && value !== ''
}

function text(value: unknown): string | undefined {
  if (typeof value === 'string' && value !== '') return value
  return typeof value === 'number' ? String(value) : undefined
}
