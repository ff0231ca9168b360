import type { IncomingMessage, ServerResponse } from 'node:http'
import { createRandom, type Random } from '../core/index.ts'
import { deriveSeed } from '../workload/index.ts'
import { drawFault, parseFault, type Fault } from './faults.ts'
import type { MockRecord } from './records.ts'

/** One request on its way through the mock: what it was drawn to suffer, and the record of what happened to it. */
export interface MockRun {
  /** The id that the server and its engine know it by; its draws follow from it. */
  readonly id: string
  readonly fault: Fault | undefined
  /** For its length. */
  readonly random: Random
  readonly record: MockRecord
  /** The token before which a fault strikes: half of the answer, at least one. Known once the engine begins. */
  strikesAt: number
}

/** Does the fault strike before an event of so many tokens, with `before` of the answer's tokens given? */
export function strikesWithin({ strikesAt }: MockRun, before: number, tokens: number): boolean {
  return before <= strikesAt && strikesAt < before + tokens
}

/** The ordinal-th request: under one seed always the same draws, whatever runs beside it. Throws `invalid_request`. */
export function createRun(
  ordinal: number,
  request: IncomingMessage,
  { seed, faults, receivedMs }: { seed: number; faults: readonly Fault[]; receivedMs: number },
): MockRun {
  const random = createRandom(deriveSeed(seed ^ 0x5bd1e995, ordinal))
  const drawn = drawFault(faults, random)
  const asked = request.headers['x-mock-fault']
  const fault = typeof asked === 'string' ? parseFault(asked) : drawn
  const requestId = request.headers['x-request-id']
  const record: MockRecord = {
    ordinal,
    requestId: Array.isArray(requestId) ? requestId.join(', ') : requestId,
    path: request.url ?? '',
    model: '',
    fault: fault?.kind,
    receivedMs,
    promptTokens: 0,
    cachedTokens: 0,
    status: 0,
    outcome: 'running',
    writesMs: [],
    writeTokens: [],
    endMs: undefined,
  }
  return { id: `mock-${ordinal}`, fault, random, record, strikesAt: 1 }
}

/** Completes the record once the answer is over, whatever ended it. */
export function endRun({ record, fault }: MockRun, response: ServerResponse, nowMs: number): void {
  record.endMs = nowMs
  const answered = response.writableFinished
  const instead = fault?.kind === 'html' || fault?.kind === 'refuse' || fault?.kind === 'silent'
  record.status = response.headersSent ? response.statusCode : 0
  if (record.outcome !== 'running') return
  if (instead || (answered && record.status >= 400)) record.outcome = 'refused'
  else record.outcome = answered ? 'completed' : 'cancelled'
  // An answer in one piece, which states its length, was written once.
  if (response.chunkedEncoding || record.writesMs.length < 2) return
  record.writesMs.splice(0, Infinity, record.writesMs.at(-1) ?? nowMs)
  record.writeTokens.splice(
    0,
    Infinity,
    record.writeTokens.reduce((sum, tokens) => sum + tokens, 0),
  )
}
