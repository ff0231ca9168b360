import { limitError, TokenmillError, type Random } from '../core/index.ts'

/** One request of a recorded or written workload. */
export interface TraceRequest {
  /** Milliseconds after the first request of the trace. */
  readonly atMs: number
  readonly promptTokens: number
  readonly outputTokens: number
  /** Identities of the prompt's blocks: equal ids stand for equal text. Undefined where the trace does not say. */
  readonly blocks: readonly number[] | undefined
  /** Tokens in each block but the last. */
  readonly blockTokens: number
  /** The prompt itself, where the trace brings it. */
  readonly prompt: string | undefined
  /** Requests of one session are turns of one conversation, each after the answer to the one before. */
  readonly session: string | undefined
}

/** Mooncake's block size (kvcache-ai/Mooncake, "traces"): 512 tokens. */
const mooncakeBlockTokens = 512

export interface TraceLimits {
  readonly maxTraceRequests: number
}

/**
 * Reads a trace, whichever of these it is:
 *
 * - JSONL, one object a line: `timestamp` (ms), `input_length`, `output_length`, `hash_ids` as Mooncake writes
 *   them; also `prompt` (or `text_input`), `session_id`, `block_size`. The prompt's length may be left out where
 *   the prompt is given.
 * - CSV with a header: `TIMESTAMP,ContextTokens,GeneratedTokens` as Azure's traces, or `Timestamp,…,Request
 *   tokens,Response tokens` (seconds) as BurstGPT's.
 *
 * Requests are sorted by time, and time starts at 0. Throws `invalid_request` with the line, or `limit_exceeded`.
 */
export function parseTrace(lines: Iterable<string>, limits: TraceLimits): TraceRequest[] {
  const requests: TraceRequest[] = []
  let readRow: ((line: string, number: number) => TraceRequest) | undefined
  let number = 0
  for (const raw of lines) {
    number += 1
    const line = number === 1 ? raw.replace(/^\uFEFF/, '').trim() : raw.trim()
    if (line === '') continue
    if (readRow === undefined) {
      if (!line.startsWith('{')) {
        readRow = csvReader(line)
        continue
      }
      readRow = readJsonRow
    }
    requests.push(readRow(line, number))
    if (requests.length > limits.maxTraceRequests) {
      throw limitError(
        { name: 'maxTraceRequests', maximum: limits.maxTraceRequests, unit: 'requests' },
        requests.length,
        'The trace',
        'Cut the file, or raise the limit.',
      )
    }
  }
  if (requests.length === 0) throw new TokenmillError('invalid_request', 'The trace holds no request.')
  const firstMs = requests.reduce((least, request) => Math.min(least, request.atMs), Infinity)
  return moved(requests, (request) => request.atMs - firstMs)
}

function readJsonRow(line: string, number: number): TraceRequest {
  let row: Record<string, unknown>
  try {
    row = JSON.parse(line) as Record<string, unknown>
  } catch (error) {
    throw new TokenmillError('invalid_request', `Line ${number} of the trace is not JSON.`, {}, error)
  }
  if (typeof row !== 'object' || row === null) throw wrong(number, 'is no object')
  const prompt = row['prompt'] ?? row['text_input']
  if (prompt !== undefined && typeof prompt !== 'string') throw wrong(number, 'has a prompt that is no text')
  const blocks = row['hash_ids']
  if (blocks !== undefined && !isNaturals(blocks)) throw wrong(number, 'has hash_ids that are no whole numbers ≥ 0')
  const session = row['session_id']
  return {
    atMs: readNumber(row['timestamp'] ?? 0, number, 'timestamp'),
    promptTokens:
      prompt !== undefined && row['input_length'] === undefined
        ? 0
        : readCount(row['input_length'] ?? row['prompt_tokens'], number, 'input_length'),
    outputTokens: readCount(row['output_length'] ?? row['output_tokens'], number, 'output_length'),
    blocks,
    blockTokens: readCount(row['block_size'] ?? mooncakeBlockTokens, number, 'block_size'),
    prompt,
    session: typeof session === 'string' || typeof session === 'number' ? String(session) : undefined,
  }
}

/** Column names in lower case, for each quantity the known spellings. */
const csvColumns = {
  time: ['timestamp', 'arrived_at', 'time'],
  prompt: ['contexttokens', 'request tokens', 'input_length', 'num_prefill_tokens', 'prompt_tokens'],
  output: ['generatedtokens', 'response tokens', 'output_length', 'num_decode_tokens', 'output_tokens'],
} as const

function csvReader(header: string): (line: string, number: number) => TraceRequest {
  const names = header.split(',').map((name) => name.trim().toLowerCase())
  const column = (kind: keyof typeof csvColumns): number => {
    const at = names.findIndex((name) => (csvColumns[kind] as readonly string[]).includes(name))
    if (at >= 0) return at
    throw new TokenmillError(
      'invalid_request',
      `The trace's header is '${header.slice(0, 120)}'; it needs a column for ${kind}: ${csvColumns[kind].join(', ')}.`,
    )
  }
  const [time, prompt, output] = [column('time'), column('prompt'), column('output')]
  return (line, number) => {
    const cells = line.split(',')
    return {
      atMs: readTimeMs(cells[time] ?? '', number),
      promptTokens: readCount(Number(cells[prompt] ?? Number.NaN), number, names[prompt] ?? 'prompt'),
      outputTokens: readCount(Number(cells[output] ?? Number.NaN), number, names[output] ?? 'output'),
      blocks: undefined,
      blockTokens: mooncakeBlockTokens,
      prompt: undefined,
      session: undefined,
    }
  }
}

/** A bare number is seconds; else a date and time, in UTC, of which digits beyond the millisecond count too. */
function readTimeMs(cell: string, number: number): number {
  if (/^\s*\d+(\.\d+)?\s*$/.test(cell)) return Number(cell) * 1000
  const match = /^(\d{4}-\d\d-\d\d)[ T](\d\d:\d\d:\d\d)(\.\d+)?(Z|[+-]\d\d:?\d\d)?$/.exec(cell.trim())
  const wholeMs = match === null ? Number.NaN : Date.parse(`${match[1]}T${match[2]}${match[4] ?? 'Z'}`)
  if (Number.isNaN(wholeMs)) throw wrong(number, `has time '${cell}'`)
  return wholeMs + Number(match?.[3] ?? 0) * 1000
}

function readNumber(value: unknown, number: number, name: string): number {
  if (typeof value === 'number' && Number.isFinite(value)) return value
  throw wrong(number, `has ${name} ${JSON.stringify(value)}, which is no number`)
}

/** A whole number ≥ 0; 0 where the trace has an empty answer, which a replay rounds up to one token. */
function readCount(value: unknown, number: number, name: string): number {
  if (typeof value === 'number' && Number.isInteger(value) && value >= 0) return value
  throw wrong(number, `has ${name} ${JSON.stringify(value) ?? 'missing'}; it must be a whole number ≥ 0`)
}

function isNaturals(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((each) => Number.isSafeInteger(each) && (each as number) >= 0)
}

function wrong(number: number, what: string): TokenmillError {
  return new TokenmillError('invalid_request', `Line ${number} of the trace ${what}.`)
}

/**
 * Spreads requests whose recorded time was rounded down to a bucket: each moves by a random part of the time to
 * the next distinct stamp (the last by that of the bucket before). Times that are all distinct stay as they are.
 */
export function ditherTrace(trace: readonly TraceRequest[], random: Random): TraceRequest[] {
  const stamps = [...new Set(trace.map((request) => request.atMs))].toSorted((a, b) => a - b)
  if (stamps.length === trace.length || stamps.length < 2) return [...trace]
  const widths = new Map<number, number>()
  for (const [index, stamp] of stamps.entries()) {
    const next = stamps[index + 1]
    widths.set(stamp, next === undefined ? (widths.get(stamps[index - 1] ?? 0) ?? 0) : next - stamp)
  }
  return moved(trace, (request) => request.atMs + random() * (widths.get(request.atMs) ?? 0))
}

/** The requests at new times, sorted by them. */
function moved(trace: readonly TraceRequest[], atMs: (request: TraceRequest) => number): TraceRequest[] {
  return trace
    .map((request): TraceRequest => Object.assign({}, request, { atMs: atMs(request) }))
    .toSorted((a, b) => a.atMs - b.atMs)
}
