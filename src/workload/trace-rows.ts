import { TokenmillError } from '../core/index.ts'
import type { TraceMessage, TraceRequest } from './trace-request.ts'

/** A row as the file has it: its time is undefined where it only says which turn it follows. */
export type TraceRow = Omit<TraceRequest, 'atMs'> & { readonly atMs: number | undefined }

/** Mooncake's block size (kvcache-ai/Mooncake, "traces"): 512 tokens. */
const mooncakeBlockTokens = 512

export function readJsonRow(line: string, number: number): TraceRow {
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
  const messages = readMessages(row['messages'], number)
  const session = row['session_id']
  const isWritten = prompt !== undefined || messages !== undefined
  return {
    atMs: readTime(row['timestamp'], number, 'timestamp'),
    pauseMs: readTime(row['delay'], number, 'delay'),
    promptTokens:
      isWritten && row['input_length'] === undefined
        ? 0
        : readCount(row['input_length'] ?? row['prompt_tokens'], number, 'input_length'),
    outputTokens: readCount(row['output_length'] ?? row['output_tokens'], number, 'output_length'),
    blocks,
    blockTokens: readCount(row['block_size'] ?? mooncakeBlockTokens, number, 'block_size'),
    prompt,
    messages,
    session: typeof session === 'string' || typeof session === 'number' ? String(session) : undefined,
  }
}

/** Column names in lower case, for each quantity the known spellings. */
const csvColumns = {
  time: ['timestamp', 'arrived_at', 'time'],
  prompt: ['contexttokens', 'request tokens', 'input_length', 'num_prefill_tokens', 'prompt_tokens'],
  output: ['generatedtokens', 'response tokens', 'output_length', 'num_decode_tokens', 'output_tokens'],
} as const

export function csvReader(header: string): (line: string, number: number) => TraceRow {
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
      pauseMs: undefined,
      promptTokens: readCount(Number(cells[prompt] ?? Number.NaN), number, names[prompt] ?? 'prompt'),
      outputTokens: readCount(Number(cells[output] ?? Number.NaN), number, names[output] ?? 'output'),
      blocks: undefined,
      blockTokens: mooncakeBlockTokens,
      prompt: undefined,
      messages: undefined,
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

/** Milliseconds; undefined where the row has none. */
function readTime(value: unknown, number: number, name: string): number | undefined {
  if (value === undefined || value === null) return undefined
  if (typeof value === 'number' && Number.isFinite(value)) return value
  throw wrong(number, `has ${name} ${JSON.stringify(value)}, which is no number`)
}

/** Whole conversations, each message with a role and a text. */
function readMessages(value: unknown, number: number): TraceMessage[] | undefined {
  if (value === undefined || value === null) return undefined
  if (Array.isArray(value) && value.length > 0 && value.every(isMessage))
    return value.map(({ role, content }) => ({ role, content }))
  throw wrong(number, 'has messages that are no list of role and text')
}

function isMessage(value: unknown): value is TraceMessage {
  if (typeof value !== 'object' || value === null) return false
  const { role, content } = value as { role?: unknown; content?: unknown }
  return typeof role === 'string' && typeof content === 'string'
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
