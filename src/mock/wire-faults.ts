import type { IncomingMessage, ServerResponse } from 'node:http'
import { buffer } from 'node:stream/consumers'
import { TokenmillError } from '../core/index.ts'
import { toErrorReply } from '../protocol/index.ts'
import type { Fault, FaultKind } from './faults.ts'
import { strikesWithin, type MockRun } from './mock-run.ts'

/** What is wrong with an answer's bytes. `noRole` is no fault but a manner that some servers have. */
export type WireFault = FaultKind | 'noRole'

/** These are the engine's: it pauses, or counts wrongly, and the answer is sound. */
const engineFaults: ReadonlySet<FaultKind> = new Set<FaultKind>(['stall', 'hang', 'empty', 'wrongUsage'])

export function wireFaultOf(fault: Fault | undefined): WireFault | undefined {
  return fault === undefined || engineFaults.has(fault.kind) ? undefined : fault.kind
}

/** Refuses a request as the server would. */
export function refuse(response: ServerResponse, error: TokenmillError): void {
  const { status, headers, body } = toErrorReply(error)
  response.writeHead(status, { ...headers, 'content-type': 'application/json' }).end(JSON.stringify(body))
}

const refusals: Readonly<Partial<Record<WireFault, () => TokenmillError>>> = {
  error: () => new TokenmillError('engine_failed', 'The mock was told to fail.'),
  unavailable: () => new TokenmillError('unavailable', 'The mock was told to be unavailable.', { retryAfterMs: 1000 }),
  rateLimit: () => new TokenmillError('rate_limited', 'The mock was told to refuse.', { retryAfterMs: 1000 }),
}

/** Asks the server for the honest answer to this body. */
export type Ask = (body: Buffer, signal: AbortSignal) => Promise<Response>

/**
 * Answers a request wrongly. Where the fault lies in the answer's bytes, the mock asks its own server, as a proxy would, and
 * spoils the answer on the way: the server knows nothing of it, and sees its client leave where the answer is cut.
 */
export async function answerWrongly(
  incoming: IncomingMessage,
  response: ServerResponse,
  { kind, run, ask }: { readonly kind: WireFault; readonly run: MockRun; readonly ask: Ask },
): Promise<void> {
  if (kind === 'refuse') {
    response.destroy()
    return
  }
  const body = await buffer(incoming)
  const refusal = refusals[kind]
  if (refusal !== undefined) {
    refuse(response, refusal())
    return
  }
  // The request is read, and nobody ever answers.
  if (kind === 'silent') return
  if (kind === 'html') {
    response.writeHead(200, { 'content-type': 'text/html' }).end('<!doctype html><title>Welcome to nginx!</title>')
    return
  }
  const left = new AbortController()
  response.once('close', () => left.abort())
  const answer = await ask(kind === 'noStream' ? withoutStream(body) : body, left.signal)
  const type = answer.headers.get('content-type') ?? 'application/json'
  const retryAfter = answer.headers.get('retry-after')
  const headers = { 'content-type': type, ...(retryAfter === null ? {} : { 'retry-after': retryAfter }) }
  if (type.startsWith('text/event-stream') && answer.body !== null) {
    response.writeHead(answer.status, headers)
    await spoilStream(answer.body, response, kind, run)
    return
  }
  const whole = Buffer.from(await answer.arrayBuffer())
  if (kind === 'disconnect' && answer.ok) {
    cut(response, run)
    return
  }
  if (kind === 'errorEvent' && answer.ok) {
    run.record.outcome = 'faulted'
    refuse(response, engineFailed())
    return
  }
  const told = kind === 'noUsage' && answer.ok ? withoutUsage(whole) : whole
  response.writeHead(answer.status, { ...headers, 'content-length': told.length }).end(told)
}

/** Passes the frames on; the fault strikes in the middle of the answer. */
async function spoilStream(
  body: ReadableStream<Uint8Array>,
  response: ServerResponse,
  kind: WireFault,
  run: MockRun,
): Promise<void> {
  let tokens = 0
  let texts = 0
  for await (const frame of framesOf(body)) {
    if (kind === 'noUsage' && frame.includes('"choices":[],"usage":')) continue
    if (kind === 'noRole' && frame.includes('"delta":{"role":')) continue
    const width = carriesText(frame) ? (run.record.writeTokens[texts] ?? 1) : 0
    if (strikesWithin(run, tokens, width)) {
      if (kind === 'malformed') await send(response, 'data: {"choices":[{"index":0,"del\n\n')
      if (kind === 'disconnect') return cut(response, run)
      if (kind === 'errorEvent') await send(response, `data: ${JSON.stringify(toErrorReply(engineFailed()).body)}\n\n`)
      if (kind === 'truncate' || kind === 'errorEvent') {
        run.record.outcome = 'faulted'
        break
      }
    }
    if (width > 0) texts += 1
    tokens += width
    await send(response, `${frame}\n\n`)
  }
  response.end()
}

/** Resolves once the text is with the operating system, so that a cut behind it takes nothing back; also where the client has left. */
function send(response: ServerResponse, text: string): Promise<void> {
  return new Promise((resolve) => {
    response.write(text, () => resolve())
  })
}

async function* framesOf(body: ReadableStream<Uint8Array>): AsyncGenerator<string, void> {
  const decoder = new TextDecoder()
  let rest = ''
  for await (const bytes of body) {
    const frames = `${rest}${decoder.decode(bytes, { stream: true })}`.split('\n\n')
    rest = frames.pop() ?? ''
    yield* frames
  }
}

/** An event with generated text in it, of a chat or a completion. */
function carriesText(frame: string): boolean {
  return /"(?:content|text)":"[^"]/.test(frame)
}

function engineFailed(): TokenmillError {
  return new TokenmillError('engine_failed', 'The engine failed.')
}

function cut(response: ServerResponse, { record }: MockRun): void {
  record.outcome = 'faulted'
  response.destroy()
}

function withoutStream(body: Buffer): Buffer {
  return rewritten(body, ({ stream: _stream, stream_options: _options, ...rest }) => rest)
}

function withoutUsage(answer: Buffer): Buffer {
  return rewritten(answer, ({ usage: _usage, ...rest }) => rest)
}

/** A body that is no object is left to the server, which says so. */
function rewritten(body: Buffer, change: (fields: Record<string, unknown>) => object): Buffer {
  try {
    return Buffer.from(JSON.stringify(change(JSON.parse(body.toString('utf8')) as Record<string, unknown>)))
  } catch {
    return body
  }
}
