import { limitError, TokenmillError, type Random } from '../core/index.ts'
import type { TraceRequest } from './trace-request.ts'
import { csvReader, readJsonRow, type TraceRow } from './trace-rows.ts'

export interface TraceLimits {
  readonly maxTraceRequests: number
}

/**
 * Reads a trace, whichever of these it is:
 *
 * - JSONL, one object a line: `timestamp` (ms), `input_length`, `output_length`, `hash_ids` as Mooncake writes
 *   them; also `prompt` (or `text_input`), `messages`, `session_id`, `delay` (ms after the answer to the turn before),
 *   `block_size`. The prompt's length may be left out where the prompt is given.
 * - CSV with a header: `TIMESTAMP,ContextTokens,GeneratedTokens` as Azure's traces, or `Timestamp,…,Request
 *   tokens,Response tokens` (seconds) as BurstGPT's.
 *
 * Requests are sorted by time, and time starts at 0. Turns of a session that all have times are in their order; where
 * one has none, they are in the file's. Throws `invalid_request` with the line, or `limit_exceeded`.
 */
export function parseTrace(lines: Iterable<string>, limits: TraceLimits): TraceRequest[] {
  const rows: TraceRow[] = []
  let readRow: ((line: string, number: number) => TraceRow) | undefined
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
    rows.push(readRow(line, number))
    if (rows.length > limits.maxTraceRequests) {
      throw limitError(
        { name: 'maxTraceRequests', maximum: limits.maxTraceRequests, unit: 'requests' },
        rows.length,
        'The trace',
        'Cut the file, or raise the limit.',
      )
    }
  }
  if (rows.length === 0) throw new TokenmillError('invalid_request', 'The trace holds no request.')
  const requests = placeTurns(rows)
  const firstMs = requests.reduce((least, request) => Math.min(least, request.atMs), Infinity)
  return moved(requests, (request) => request.atMs - firstMs)
}

/** Gives each row a time: a turn without one follows the turn before it in the file, after its pause. */
function placeTurns(rows: readonly TraceRow[]): TraceRequest[] {
  const untimed = new Set(rows.filter((row) => row.atMs === undefined).map((row) => row.session))
  const lastMs = new Map<string, number>()
  return rows.map((row) => {
    const { session, pauseMs = 0 } = row
    if (session === undefined || !untimed.has(session)) return Object.assign({}, row, { atMs: row.atMs ?? 0 })
    const before = lastMs.get(session)
    const atMs = before === undefined ? (row.atMs ?? pauseMs) : Math.max(before, row.atMs ?? before + pauseMs)
    lastMs.set(session, atMs)
    return Object.assign({}, row, { atMs })
  })
}

/**
 * Spreads requests whose recorded time was rounded down to a bucket: each moves by a random part of the time to
 * the next distinct stamp (the last by that of the bucket before). Times that are all distinct stay as they are, and no
 * turn comes before the one it follows.
 */
export function ditherTrace(trace: readonly TraceRequest[], random: Random): TraceRequest[] {
  const stamps = [...new Set(trace.map((request) => request.atMs))].toSorted((a, b) => a - b)
  if (stamps.length === trace.length || stamps.length < 2) return [...trace]
  const widths = new Map<number, number>()
  for (const [index, stamp] of stamps.entries()) {
    const next = stamps[index + 1]
    widths.set(stamp, next === undefined ? (widths.get(stamps[index - 1] ?? 0) ?? 0) : next - stamp)
  }
  const lastMs = new Map<string, number>()
  return moved(trace, ({ atMs, session }) => {
    const movedMs = atMs + random() * (widths.get(atMs) ?? 0)
    if (session === undefined) return movedMs
    const inOrderMs = Math.max(movedMs, lastMs.get(session) ?? 0)
    lastMs.set(session, inOrderMs)
    return inOrderMs
  })
}

/** The requests at new times, sorted by them. */
function moved(trace: readonly TraceRequest[], atMs: (request: TraceRequest) => number): TraceRequest[] {
  return trace
    .map((request): TraceRequest => Object.assign({}, request, { atMs: atMs(request) }))
    .toSorted((a, b) => a.atMs - b.atMs)
}
