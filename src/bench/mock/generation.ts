import type { ServerResponse } from 'node:http'
import { createRandom, type Clock, type Random } from '../../core/index.ts'
import { deriveSeed, sampleLength, words, type Distribution } from '../../workload/index.ts'
import type { Fault } from './faults.ts'
import type { PacedSequence } from './pacer.ts'
import type { MockRecord } from './records.ts'
import {
  completionBody,
  errorBody,
  sendBody,
  StreamFrames,
  writeText,
  type MockRequest,
  type MockUsage,
} from './wire.ts'

export interface GenerationParts {
  readonly request: MockRequest
  readonly response: ServerResponse
  readonly record: MockRecord
  readonly seed: number
  readonly fault: Fault | undefined
  readonly outputTokens: number
  readonly finishReason: 'stop' | 'length'
  readonly tokensPerChunk: Distribution
  readonly roleChunk: boolean
  readonly maxUnsentBytes: number
  readonly clock: Clock
  readonly wallTimeS: number
  /** The generation has ended, however it ended; called once. */
  readonly onEnd: () => void
}

/**
 * One answer: takes tokens as the pacer makes them due, writes them, and does wrong what its fault says, always
 * at the middle of the answer. Owns the response until `onEnd`; the server cancels its pacing there.
 */
export class Generation implements PacedSequence {
  readonly promptTokens: number
  readonly cachedTokens: number
  readonly outputTokens: number
  readonly random: Random
  readonly #parts: GenerationParts
  readonly #frames: StreamFrames
  readonly #words: Random
  readonly #faultAtToken: number
  #written = 0
  #pending = ''
  #pendingTokens = 0
  #chunkTokens = 1
  #due = 0
  /** Holds tokens back: a stall runs, or the stream hangs. */
  #held = false
  #cancelStall: (() => void) | undefined
  #ended = false

  constructor(parts: GenerationParts) {
    this.#parts = parts
    this.promptTokens = parts.record.promptTokens
    this.cachedTokens = parts.record.cachedTokens
    this.outputTokens = parts.outputTokens
    this.random = createRandom(deriveSeed(parts.seed, 2 * parts.record.ordinal))
    this.#words = createRandom(deriveSeed(parts.seed, 2 * parts.record.ordinal + 1))
    this.#frames = new StreamFrames(parts.request.kind, this.id, parts.request.model, parts.wallTimeS)
    this.#faultAtToken = Math.max(1, Math.floor(parts.outputTokens / 2))
    this.#drawChunk()
    parts.response.on('close', () => this.end('cancelled'))
  }

  get id(): string {
    return `${this.#parts.request.kind === 'chat' ? 'chatcmpl' : 'cmpl'}-mock-${this.#parts.record.ordinal}`
  }

  /** The connection is accepted and generation begins: a stream sends its head (and its role) at once. */
  open(): void {
    const { response, request, roleChunk } = this.#parts
    if (!request.stream) return
    response.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8', 'cache-control': 'no-store' })
    response.flushHeaders()
    if (roleChunk && request.kind === 'chat') writeText(response, this.#frames.role())
  }

  onToken(): void {
    if (this.#ended) return
    this.#due += 1
    if (this.#held) return
    this.#takeDue()
    if (this.#written + this.#pendingTokens === this.outputTokens) this.#finish()
  }

  /** The answer is over. Idempotent; the first word stands. */
  end(outcome: MockRecord['outcome']): void {
    if (this.#ended) return
    this.#ended = true
    this.#cancelStall?.()
    this.#parts.record.outcome = outcome
    this.#parts.record.endMs = this.#parts.clock.now()
    this.#parts.onEnd()
  }

  /** Moves tokens that are due into chunks and writes the full ones; stops where the fault strikes. */
  #takeDue(): void {
    while (!this.#held && !this.#ended && this.#written + this.#pendingTokens < this.#due) {
      if (this.#strikes()) return
      this.#pending += ` ${words[Math.floor(this.#words() * words.length)]}`
      this.#pendingTokens += 1
      const last = this.#written + this.#pendingTokens === this.outputTokens
      if (this.#parts.request.stream && (this.#pendingTokens >= this.#chunkTokens || last)) this.#writeChunk()
    }
  }

  #writeChunk(): void {
    const { response, record, request, clock, maxUnsentBytes } = this.#parts
    this.#written += this.#pendingTokens
    const frame = this.#frames.text(this.#pending, request.continuousUsage ? this.#usage() : undefined)
    record.writesMs.push(clock.now())
    record.writeTokens.push(this.#pendingTokens)
    writeText(response, frame)
    this.#pending = ''
    this.#pendingTokens = 0
    this.#drawChunk()
    // A reader that does not read: its bytes pile up here, and this is the bound.
    if (response.writableLength > maxUnsentBytes) response.destroy()
  }

  /** True where the fault takes over and this token must not be written now. */
  #strikes(): boolean {
    const { fault, response } = this.#parts
    if (fault === undefined || this.#written + this.#pendingTokens !== this.#faultAtToken) return false
    const stream = this.#parts.request.stream
    switch (fault.kind) {
      case 'stall':
        if (this.#cancelStall !== undefined) return false
        this.#held = true
        this.#cancelStall = this.#parts.clock.schedule(fault.stallMs, () => this.#resume())
        return true
      case 'hang':
        this.#held = true
        return true
      case 'disconnect':
        response.destroy()
        this.end('faulted')
        return true
      case 'truncate':
        if (!stream) return false
        response.end()
        this.end('faulted')
        return true
      case 'malformed':
        if (stream) writeText(response, 'data: {"choices":[{"index":0,"del\n\n')
        return false
      case 'errorEvent':
        if (stream) {
          writeText(response, `data: ${errorBody('The engine failed.', 'server_error', 'engine_failed')}\n\n`)
          response.end()
        } else sendBody(response, 500, errorBody('The engine failed.', 'server_error', 'engine_failed'))
        this.end('faulted')
        return true
      default:
        return false
    }
  }

  #resume(): void {
    this.#held = false
    this.#takeDue()
    if (!this.#ended && this.#written + this.#pendingTokens === this.outputTokens) this.#finish()
  }

  #finish(): void {
    const { request, response, finishReason, fault, record, clock } = this.#parts
    const withUsage = fault?.kind !== 'noUsage'
    if (request.stream) {
      const usage = request.includeUsage && withUsage ? this.#frames.usage(this.#usage()) : ''
      writeText(response, `${this.#frames.finish(finishReason)}${usage}${StreamFrames.done}`)
      response.end()
    } else {
      record.writesMs.push(clock.now())
      record.writeTokens.push(this.#pendingTokens)
      this.#written += this.#pendingTokens
      const usage = withUsage ? this.#usage() : undefined
      const body = completionBody(request, this.id, this.#parts.wallTimeS, this.#pending, finishReason, usage)
      sendBody(response, 200, body)
    }
    this.end('completed')
  }

  /** An answer without a single token. */
  finishEmpty(): void {
    this.#finish()
  }

  #usage(): MockUsage {
    const factor = this.#parts.fault?.kind === 'wrongUsage' ? 10 : 1
    return {
      promptTokens: this.promptTokens,
      cachedTokens: this.cachedTokens,
      completionTokens: this.#written * factor,
    }
  }

  #drawChunk(): void {
    this.#chunkTokens = sampleLength(this.#parts.tokensPerChunk, this.#words)
  }
}
