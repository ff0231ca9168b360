import type { Target } from '../plan.ts'
import type { RequestOutcome, RequestRecord } from '../metrics/record.ts'
import { operationUrl } from '../endpoint-url.ts'
import { Connections, type AnswerHandler } from './connections.ts'
import type { LoopWatch } from './loop-watch.ts'
import { secretsOf, withoutSecrets } from '../secrets.ts'
import type { PlannedRequest } from './request-source.ts'
import { StreamTimeline } from './stream-timeline.ts'

/** Longest body that is read of an answer that is no stream. */
const maxBodyBytes = 64 * 1024 ** 2
/** Of an error's body, what a report can show. */
const maxErrorBytes = 4096

export interface LoadClientOptions {
  readonly target: Target
  readonly timeoutMs: number
  readonly maxEventBytes: number
  /** Keep the text of answers: for the next turn, or to count its tokens. */
  readonly keepText: boolean
  /** Ms since the start of the run, the same in every worker. */
  readonly nowMs: () => number
  readonly watch: LoopWatch
  /** Counts tokens where the server reports no usage. */
  readonly countTokens?: (text: string) => number
}

export interface SentRequest {
  readonly record: RequestRecord
  readonly text: string
}

/** Why the run gives up a request that still runs. */
export type AbandonReason = 'unfinished' | 'interrupted'

/**
 * Sends requests over as many HTTP/1.1 connections as there are requests at once and notes when bytes arrive. What
 * fails is reported as it failed.
 */
export class LoadClient {
  readonly #options: LoadClientOptions
  readonly #connections: Connections
  /** All of a request's head but its id and the length of its body. */
  readonly #head: string
  readonly #running = new Set<Exchange>()
  readonly #secrets: readonly string[]

  constructor(options: LoadClientOptions) {
    this.#options = options
    const { target } = options
    this.#secrets = secretsOf(target.headers)
    const url = operationUrl(target.url, apiPaths[target.api])
    this.#connections = new Connections(url)
    const fields = {
      host: url.host,
      'content-type': 'application/json',
      accept: target.stream ? 'text/event-stream' : 'application/json',
      ...target.headers,
    }
    const lines = Object.entries(fields).map(([name, value]) => `${name}: ${value}\r\n`)
    this.#head = `POST ${url.pathname}${url.search} HTTP/1.1\r\n${lines.join('')}`
  }

  get inFlight(): number {
    return this.#running.size
  }

  /** Requests sent again because the server had closed a connection that it said it keeps. */
  get resent(): number {
    return this.#connections.resent
  }

  /** Always resolves: whatever happens is an outcome in the record. */
  send(planned: PlannedRequest, scheduledMs: number, capWaitMs: number): Promise<SentRequest> {
    const { target } = this.#options
    return new Promise((resolve) => {
      const exchange = new Exchange(
        this.#options,
        planned,
        scheduledMs,
        capWaitMs,
        (sent) => {
          this.#running.delete(exchange)
          if (sent.record.outcome !== 'ok') this.#connections.giveUp(exchange)
          resolve(sent)
        },
        this.#secrets,
      )
      this.#running.add(exchange)
      const { id, body } = planned
      const name = 'x-request-id' in target.headers ? '' : `x-request-id: ${id}\r\n`
      const head = `${this.#head}${name}content-length: ${Buffer.byteLength(body)}\r\n\r\n`
      this.#connections.send(`${head}${body}`, exchange)
    })
  }

  /** Ends every running request with this outcome. */
  abandon(reason: AbandonReason): void {
    for (const exchange of this.#running) exchange.abandon(reason)
  }

  close(): void {
    this.#connections.close()
  }
}

const apiPaths = { chat: 'chat/completions', completion: 'completions', embedding: 'embeddings' } as const

/** One request and its answer. Owns its timer until `finish`; the client gives up its connection where it failed. */
class Exchange implements AnswerHandler {
  readonly #options: LoadClientOptions
  readonly #planned: PlannedRequest
  readonly #scheduledMs: number
  readonly #capWaitMs: number
  readonly #sentMs: number
  readonly #onFinish: (sent: SentRequest) => void
  readonly #secrets: readonly string[]
  readonly #timeline: StreamTimeline
  readonly #timer: NodeJS.Timeout
  #status = 0
  #kind: 'events' | 'json' | 'other' = 'other'
  #body: Buffer[] = []
  #bodyBytes = 0
  #connected = false
  /** When the bytes came that are read now. */
  #readMs = 0
  #finished = false

  constructor(
    options: LoadClientOptions,
    planned: PlannedRequest,
    scheduledMs: number,
    capWaitMs: number,
    onFinish: (sent: SentRequest) => void,
    secrets: readonly string[],
  ) {
    this.#options = options
    this.#planned = planned
    this.#scheduledMs = scheduledMs
    this.#capWaitMs = capWaitMs
    this.#onFinish = onFinish
    this.#secrets = secrets
    this.#timeline = new StreamTimeline(options.maxEventBytes, options.keepText)
    this.#sentMs = options.nowMs()
    this.#timer = setTimeout(() => this.#onTimeout(), options.timeoutMs)
  }

  onSent(): void {
    this.#connected = true
  }

  onRead(): void {
    if (this.#finished) return
    this.#options.watch.bytesArrived()
    this.#readMs = this.#options.nowMs()
  }

  onHead(status: number, fields: ReadonlyMap<string, string>): void {
    this.#status = status
    const type = (fields.get('content-type') ?? '').toLowerCase()
    this.#kind = type.includes('text/event-stream') ? 'events' : type.includes('json') ? 'json' : 'other'
  }

  onBody(bytes: Buffer, start: number, end: number): void {
    if (this.#finished) return
    if (this.#status >= 400 || this.#kind !== 'events') {
      this.#keepBody(bytes.subarray(start, end))
      return
    }
    this.#timeline.pushEvents(bytes, this.#readMs, start, end)
    const { problem } = this.#timeline
    if (problem !== undefined) this.finish(problem.kind, problem.message)
  }

  onEnd(): void {
    if (this.#finished) return
    if (this.#status === 429 || this.#status === 503) return this.finish('refused', this.#errorText())
    if (this.#status >= 300) return this.finish('httpError', this.#errorText())
    if (this.#kind === 'other') return this.finish('notJson', `answered ${this.#text()}`)
    if (this.#kind === 'json') this.#timeline.takeBody(this.#text(), this.#readMs)
    const { problem, chunks, finishReason, done } = this.#timeline
    if (problem !== undefined) this.finish(problem.kind, problem.message)
    else if (this.#kind === 'events' && finishReason === undefined && !done)
      this.finish('truncated', 'the stream ended without finish_reason and [DONE]')
    else if (chunks === 0) this.finish('empty', 'no token in a complete answer')
    else this.finish('ok', '')
  }

  onFailure(problem: 'connection' | 'syntax', error: Error): void {
    if (problem === 'syntax') this.finish('malformed', messageOf(error))
    else this.finish(this.#connected ? 'cut' : 'connectFailed', messageOf(error))
  }

  abandon(reason: AbandonReason): void {
    const why = reason === 'interrupted' ? 'the run was stopped' : 'still running when the drain time ended'
    this.finish(reason, why)
  }

  /** The request is over. Idempotent. */
  finish(outcome: RequestOutcome, message: string): void {
    if (this.#finished) return
    this.#finished = true
    clearTimeout(this.#timer)
    const endMs = this.#options.nowMs()
    const timeline = this.#timeline
    const { usage, chunks } = timeline
    const counted = this.#countOutput()
    this.#onFinish({
      text: timeline.text,
      record: {
        session: this.#planned.session,
        turn: this.#planned.turn,
        classIndex: this.#planned.classIndex,
        scheduledMs: this.#scheduledMs,
        sentMs: this.#sentMs,
        capWaitMs: this.#capWaitMs,
        firstEventMs: timeline.firstEventMs,
        chunksMs: timeline.chunksMs,
        chunkTokens: toChunkTokens(timeline.tokensAfter, chunks),
        endMs,
        outcome,
        status: this.#status,
        message: withoutSecrets(message, this.#secrets).slice(0, 200),
        streamed: this.#kind === 'events',
        promptTokensAsked: this.#planned.promptTokens,
        outputTokensAsked: this.#planned.outputTokens,
        promptTokens: usage?.promptTokens,
        cachedTokens: usage?.cachedTokens,
        outputTokens: counted.tokens,
        outputTokensFrom: counted.from,
        outputChars: timeline.outputChars,
        finishReason: timeline.finishReason,
      },
    })
  }

  #countOutput(): { readonly tokens: number; readonly from: RequestRecord['outputTokensFrom'] } {
    const { usage, chunks, text } = this.#timeline
    if (usage?.completionTokens !== undefined) return { tokens: usage.completionTokens, from: 'usage' }
    const { countTokens } = this.#options
    if (countTokens !== undefined) return { tokens: countTokens(text), from: 'tokenizer' }
    return { tokens: chunks, from: 'chunks' }
  }

  #keepBody(chunk: Buffer): void {
    const limit = this.#status >= 400 ? maxErrorBytes : maxBodyBytes
    if (this.#bodyBytes >= limit) {
      if (this.#status < 400) this.finish('malformed', `the body is longer than ${maxBodyBytes} bytes`)
      return
    }
    // The connection reads its next bytes into the same buffer.
    this.#body.push(Buffer.from(chunk))
    this.#bodyBytes += chunk.length
  }

  #text(): string {
    return Buffer.concat(this.#body).toString('utf8')
  }

  #errorText(): string {
    const text = this.#text()
    try {
      const { error } = JSON.parse(text) as { error?: { message?: unknown } | string }
      const message = typeof error === 'string' ? error : error?.message
      if (typeof message === 'string') return `${this.#status}: ${message}`
    } catch {
      // Not JSON: the text itself says more than nothing.
    }
    return `${this.#status}: ${text}`
  }

  #onTimeout(): void {
    this.finish('timedOut', `no complete answer within ${this.#options.timeoutMs} ms`)
  }
}

/** Tokens of each chunk from running totals; undefined unless every chunk has one and they never fall. */
function toChunkTokens(tokensAfter: readonly number[], chunks: number): number[] | undefined {
  if (tokensAfter.length !== chunks || chunks === 0) return undefined
  const tokens: number[] = []
  let before = 0
  for (let i = 0; i < chunks; i += 1) {
    const after = tokensAfter[i]
    if (after === undefined || after < before) return undefined
    tokens.push(after - before)
    before = after
  }
  return tokens
}

/** The error's code and message, of the innermost cause that has them. */
function messageOf(error: unknown): string {
  if (error instanceof AggregateError && error.errors.length > 0) return messageOf(error.errors[0])
  if (!(error instanceof Error)) return String(error)
  if (error.cause instanceof Error) return messageOf(error.cause)
  const { code } = error as NodeJS.ErrnoException
  return code === undefined || error.message.includes(code) ? error.message : `${code}: ${error.message}`
}
