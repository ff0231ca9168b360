import type { Clock, TokenmillError } from '../core/index.ts'
import { outcomeOf, type GenerationEvent, type UsageRecord, type UsageSink } from '../inference/index.ts'

/** Sees the times of tokens as they come: what a record at the end no longer tells. */
export interface TokenObserver {
  firstToken(ttftMs: number): void
  gap(gapMs: number): void
}

export interface RequestFacts {
  readonly model: string
  readonly endpoint: string | undefined
  readonly keyName: string | undefined
  readonly stream: boolean
  /** Sequences that generate at once: choices × prompts. */
  readonly sequences: number
}

/**
 * Keeps the account of one request from its arrival, and settles it exactly once, whichever of its endings comes
 * first: the last byte written, an error, the client gone.
 *
 *   open ──(admitted, head, event …)──▶ open ──settle()──▶ settled: one record to the sink; all else is ignored
 */
export class RequestAccount {
  readonly #clock: Clock
  readonly #sink: UsageSink
  readonly #requestId: string
  readonly #operation: string
  readonly #sinceMs: number
  readonly #receivedAtMs: number
  readonly #facts = {
    model: '',
    endpoint: undefined,
    keyName: undefined,
    stream: false,
    sequences: 1,
  } as Writable<RequestFacts>
  readonly #prompts: PromptTokens[] = []
  /** Time of the last token of each sequence. */
  readonly #lastTokenMs: number[] = []
  #observer: TokenObserver | undefined
  #admittedAfterMs: number | undefined
  #engineCalledAfterMs: number | undefined
  #queuedMs = 0
  #ttftMs: number | undefined
  #lastMs = 0
  #stallMs: number | undefined
  #httpStatus: number | undefined
  #settled = false

  constructor(identity: { readonly requestId: string; readonly operation: string }, clock: Clock, sink: UsageSink) {
    this.#requestId = identity.requestId
    this.#operation = identity.operation
    this.#clock = clock
    this.#sink = sink
    this.#sinceMs = clock.now()
    this.#receivedAtMs = clock.wallTimeMs()
  }

  get settled(): boolean {
    return this.#settled
  }

  /** True once a token was generated: sending the request again would generate and bill it again. */
  get outputStarted(): boolean {
    return this.#ttftMs !== undefined
  }

  /** Our own share of the way to the first token: arrival to the engine's call, less the wait in the queue. */
  get overheadMs(): number | undefined {
    return this.#engineCalledAfterMs === undefined ? undefined : this.#engineCalledAfterMs - this.#queuedMs
  }

  describe(facts: Partial<RequestFacts>): void {
    Object.assign(this.#facts, facts)
  }

  observe(observer: TokenObserver): void {
    this.#observer = observer
  }

  admitted(queuedMs: number): void {
    this.#queuedMs = queuedMs
    this.#admittedAfterMs ??= this.#elapsedMs()
  }

  engineCalled(): void {
    this.#engineCalledAfterMs ??= this.#elapsedMs()
  }

  /** The response's head was written. The first one counts. */
  head(status: number): void {
    this.#httpStatus ??= status
  }

  /** Counts what the engine says about the prompt with this number. */
  event(prompt: number, event: GenerationEvent): void {
    if (this.#settled) return
    const tokens = (this.#prompts[prompt] ??= { prompt: 0, cached: undefined, completion: 0, reasoning: undefined })
    switch (event.type) {
      case 'prefilled':
        tokens.prompt = event.promptTokens
        tokens.cached = event.cachedTokens
        return
      case 'text':
      case 'reasoning':
      case 'toolCall':
        tokens.completion += event.tokens
        if (event.type === 'reasoning') tokens.reasoning = (tokens.reasoning ?? 0) + event.tokens
        this.#token(prompt * 1024 + event.index)
        return
      case 'usage':
        tokens.prompt = event.usage.promptTokens
        tokens.cached = event.usage.cachedTokens
        tokens.completion = event.usage.completionTokens
        tokens.reasoning = event.usage.reasoningTokens
        tokens.estimated = event.usage.estimated ?? false
        return
      case 'finished':
    }
  }

  /** Output of a relayed stream, of about this many tokens; usage corrects them if it comes. */
  relayedOutput(tokens: number, promptTokensEstimate: number): void {
    if (this.#settled) return
    const counted = (this.#prompts[0] ??= {
      prompt: promptTokensEstimate,
      cached: undefined,
      completion: 0,
      reasoning: undefined,
      estimated: true,
    })
    counted.completion += tokens
    this.#token(0)
  }

  /** Counts tokens of a request that generates none: embeddings, rerank. */
  promptTokens(count: number): void {
    this.#prompts[0] = { prompt: count, cached: undefined, completion: 0, reasoning: undefined }
  }

  /** Ends the account: completed, or with what went wrong. False when it had already ended. */
  settle(error?: TokenmillError): boolean {
    if (this.#settled) return false
    this.#settled = true
    this.#sink(this.#toRecord(error))
    return true
  }

  #token(sequence: number): void {
    const nowMs = this.#elapsedMs()
    this.#lastMs = nowMs
    if (this.#ttftMs === undefined) {
      this.#ttftMs = nowMs
      this.#observer?.firstToken(nowMs)
    }
    const previousMs = this.#lastTokenMs[sequence]
    this.#lastTokenMs[sequence] = nowMs
    if (previousMs === undefined) return
    const gapMs = nowMs - previousMs
    this.#observer?.gap(gapMs)
    if (this.#stallMs === undefined || gapMs > this.#stallMs) this.#stallMs = gapMs
  }

  #toRecord(error: TokenmillError | undefined): UsageRecord {
    const { sequences, ...facts } = this.#facts
    const parts = Object.values(this.#prompts)
    const completionTokens = parts.reduce((sum, part) => sum + part.completion, 0)
    const perSequence = completionTokens / Math.max(1, sequences)
    return {
      requestId: this.#requestId,
      operation: this.#operation,
      ...facts,
      outcome: error === undefined ? 'completed' : outcomeOf(error),
      errorCode: error?.code,
      httpStatus: this.#httpStatus,
      promptTokens: parts.reduce((sum, part) => sum + part.prompt, 0),
      cachedTokens: sumKnown(parts.map((part) => part.cached)),
      completionTokens,
      reasoningTokens: sumKnown(parts.map((part) => part.reasoning)),
      tokensEstimated: parts.some((part) => part.estimated === true),
      receivedAtMs: this.#receivedAtMs,
      admittedAfterMs: this.#admittedAfterMs,
      ttftMs: this.#ttftMs,
      tpotMs:
        this.#ttftMs === undefined || perSequence < 2 ? undefined : (this.#lastMs - this.#ttftMs) / (perSequence - 1),
      stallMs: this.#stallMs,
      durationMs: this.#elapsedMs(),
    }
  }

  #elapsedMs(): number {
    return this.#clock.now() - this.#sinceMs
  }
}

type Writable<T> = { -readonly [Key in keyof T]: T[Key] }

interface PromptTokens {
  prompt: number
  cached: number | undefined
  completion: number
  reasoning: number | undefined
  /** An upstream gave no usage: counted here instead. */
  estimated?: boolean
}

/** Their sum, or undefined where one is unknown or there are none. */
function sumKnown(values: readonly (number | undefined)[]): number | undefined {
  let sum: number | undefined
  for (const value of values) {
    if (value === undefined) return undefined
    sum = (sum ?? 0) + value
  }
  return sum
}
