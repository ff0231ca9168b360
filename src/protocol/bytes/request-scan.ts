import { TokenmillError } from '../../core/index.ts'
import { extensionNames, type RequestExtension } from '../../inference/index.ts'
import { forEachElement, isBlank, ObjectScanner, toKeyBytes } from './json-scan.ts'
import { memberAround, splice, type Edit, type Span } from './splice.ts'

/** What routing needs of a request in OpenAI's form; everything else stays bytes. */
export interface RequestScan {
  readonly bytes: Buffer
  /** As the client named it; undefined where it named none. */
  readonly model: string | undefined
  readonly stream: boolean
  /** The client asked for the usage chunk at the end of its stream. */
  readonly includeUsage: boolean
  /** Independent continuations asked for, of each prompt. */
  readonly n: number
  /** Prompts: one, unless completions were given a list of them. */
  readonly prompts: number
  /** Most tokens to generate, as far as the client says. */
  readonly maxTokens: number | undefined
  /** `prompt_cache_key`, else `user`: requests with equal keys profit from the same replica. */
  readonly affinityKey: string | undefined
  /**
   * Plain text is generated: no tools, no log-probabilities, one continuation, and no stop text, for which engines hold text
   * back in the middle of a token. Then a broken stream can be continued.
   */
  readonly continuable: boolean
  /** Lower is sooner. Taken out of the body, since engines without priority scheduling refuse it. */
  readonly priority: number | undefined
  /** Fields that it sets and not every engine knows. */
  readonly extensions: readonly RequestExtension[]
  readonly modelSpan: Span | undefined
  readonly streamOptionsSpan: Span | undefined
}

const keys = [
  'model',
  'stream',
  'stream_options',
  'n',
  'max_completion_tokens',
  'max_tokens',
  'prompt_cache_key',
  'user',
  'tools',
  'functions',
  'logprobs',
  'best_of',
  'echo',
  'response_format',
  'priority',
  'prompt',
  extensionNames.minTokens,
  extensionNames.stopTokens,
  'stop',
] as const
type Key = (typeof keys)[number]
const keyBytes = toKeyBytes(keys)
const places = Object.fromEntries(keys.map((key, at) => [key, at])) as Readonly<Record<Key, number>>

/** Scanning is synchronous, so one scanner serves every request. */
const scanner = new ObjectScanner(keys, keyBytes)

/** Scans a request body. Throws `invalid_request` where it is no JSON object or a field that routing reads is malformed. */
export function scanRequest(body: Uint8Array): RequestScan {
  return scanBytes(Buffer.from(body.buffer, body.byteOffset, body.byteLength))
}

function scanBytes(bytes: Buffer): RequestScan {
  if (!scanner.scan(bytes) || !isBlank(bytes, scanner.after)) {
    throw new TokenmillError(
      'invalid_request',
      'The body is not a JSON object. Send one with content-type application/json.',
    )
  }
  if (scanner.duplicate !== undefined) {
    throw invalid(scanner.duplicate, 'occurs twice in the body; send it once.')
  }
  const streamOptions = valueOf(bytes, 'stream_options')
  if (streamOptions !== undefined && (typeof streamOptions !== 'object' || Array.isArray(streamOptions))) {
    throw invalid('stream_options', 'must be an object.')
  }
  const priority = spanOf('priority')
  if (priority !== undefined) {
    const value = integerOf(bytes, 'priority')
    // Taken out, and the rest scanned anew: a rare field, so only its senders pay for it.
    const member = memberAround(bytes, priority)
    return { ...scanBytes(splice(bytes, [{ ...member, text: '' }])), priority: value }
  }
  const n = countOf(bytes, 'n') ?? 1
  const prompts = countPrompts(bytes, spanOf('prompt'))
  return {
    bytes,
    model: textOf(bytes, 'model'),
    stream: flagOf(bytes, 'stream'),
    includeUsage: (streamOptions as { include_usage?: unknown } | undefined)?.include_usage === true,
    n,
    prompts,
    maxTokens: countOf(bytes, 'max_completion_tokens') ?? countOf(bytes, 'max_tokens'),
    affinityKey: textOf(bytes, 'prompt_cache_key') ?? textOf(bytes, 'user'),
    continuable: n === 1 && prompts === 1 && isContinuable(bytes),
    priority: undefined,
    extensions: extensionsIn(bytes),
    modelSpan: spanOf('model'),
    streamOptionsSpan: spanOf('stream_options'),
  }
}

/** Where the value of a key stands in the bytes that were scanned last. */
function spanOf(key: Key): Span | undefined {
  const at = places[key]
  const start = scanner.start[at] ?? -1
  return start < 0 ? undefined : { start, end: scanner.end[at] ?? start }
}

function valueOf(bytes: Buffer, key: Key): unknown {
  const at = places[key]
  const start = scanner.start[at] ?? -1
  if (start < 0) return undefined
  try {
    return JSON.parse(bytes.toString('utf8', start, scanner.end[at])) ?? undefined
  } catch {
    throw invalid(key, 'is not valid JSON.')
  }
}

function textOf(bytes: Buffer, key: Key): string | undefined {
  const value = valueOf(bytes, key)
  if (value === undefined || typeof value === 'string') return value
  throw invalid(key, `is of type ${typeof value}; it must be a string.`)
}

function integerOf(bytes: Buffer, key: Key): number | undefined {
  const value = valueOf(bytes, key)
  if (value === undefined || (typeof value === 'number' && Number.isInteger(value))) return value
  throw invalid(key, `is ${JSON.stringify(value)}; it must be an integer.`)
}

function countOf(bytes: Buffer, key: Key): number | undefined {
  const value = valueOf(bytes, key)
  if (value === undefined) return undefined
  if (typeof value === 'number' && Number.isInteger(value) && value >= 0) return value
  throw invalid(key, `is ${JSON.stringify(value)}; it must be an integer ≥ 0.`)
}

function flagOf(bytes: Buffer, key: Key): boolean {
  const value = valueOf(bytes, key)
  if (value === undefined || typeof value === 'boolean') return value ?? false
  throw invalid(key, `is ${JSON.stringify(value)}; it must be true or false.`)
}

function isContinuable(bytes: Buffer): boolean {
  for (const key of ['tools', 'functions', 'logprobs', 'echo', 'stop'] as const) {
    const value = valueOf(bytes, key)
    if (value !== undefined && value !== false && !(Array.isArray(value) && value.length === 0)) return false
  }
  return isPlainFormat(valueOf(bytes, 'response_format')) && (countOf(bytes, 'best_of') ?? 1) === 1
}

function extensionsIn(bytes: Buffer): readonly RequestExtension[] {
  return extensions.filter((field) => !isNeutral(valueOf(bytes, extensionNames[field])))
}

/** Those that decide on the engine. llama-server's samplers pass on as bytes: engines that lack them say so or leave them out. */
const extensions = ['minTokens', 'stopTokens'] as const

/** What asks for nothing: clients send it by habit. */
function isNeutral(value: unknown): boolean {
  return value === undefined || value === 0 || (Array.isArray(value) && value.length === 0)
}

function isPlainFormat(format: unknown): boolean {
  return format === undefined || (format as { type?: unknown }).type === 'text'
}

/** A list of texts or of lists is several prompts; a text, or a list of token ids, is one. */
function countPrompts(bytes: Buffer, prompt: Span | undefined): number {
  if (prompt === undefined || bytes[prompt.start] !== 0x5b) return 1
  let count = 0
  forEachElement(bytes, prompt.start, prompt.end, (start) => {
    if (bytes[start] === 0x22 || bytes[start] === 0x5b) count += 1
  })
  return Math.max(1, count)
}

/** The body for an engine: its own name of the model, and usage asked for on every stream, whatever the client wants. */
export function rewriteRequest(scan: RequestScan, model: string): Buffer {
  const edits: Edit[] = []
  const opening = scan.bytes.indexOf(0x7b) + 1
  if (scan.modelSpan !== undefined) edits.push({ ...scan.modelSpan, text: JSON.stringify(model) })
  else edits.push({ start: opening, end: opening, text: member('model', model, scan.bytes, opening) })
  if (scan.stream && !scan.includeUsage) {
    const found = scan.streamOptionsSpan
    if (found === undefined) {
      const text = member('stream_options', { include_usage: true }, scan.bytes, opening)
      // Two insertions into an empty object would lack the comma between them: the model goes last then.
      edits.unshift({
        start: opening,
        end: opening,
        text: scan.modelSpan === undefined && !text.endsWith(',') ? `${text},` : text,
      })
    } else {
      const options = JSON.parse(scan.bytes.toString('utf8', found.start, found.end)) as object | null
      edits.push({ ...found, text: JSON.stringify({ ...options, include_usage: true }) })
    }
  }
  return splice(scan.bytes, edits)
}

/** `"key":value`, with a comma where members follow. */
function member(key: string, value: unknown, bytes: Buffer, at: number): string {
  const text = `${JSON.stringify(key)}:${JSON.stringify(value)}`
  return isEmptyObject(bytes, at) ? text : `${text},`
}

function isEmptyObject(bytes: Buffer, afterBrace: number): boolean {
  const close = bytes.indexOf(0x7d, afterBrace)
  return close >= 0 && isBlank(bytes, afterBrace, close)
}

function invalid(param: string, problem: string): TokenmillError {
  return new TokenmillError('invalid_request', `'${param}' ${problem}`, { param })
}
