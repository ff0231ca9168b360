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
  #model = ''
  #endpoint: string | undefined
  #keyName: string | undefined
  #stream = false
  #sequences = 1
  /** Of the first prompt, which is nearly always the only one. */
  #tokens: PromptTokens | undefined
  #furtherTokens: Map<number, PromptTokens> | undefined
  /** Time of the last token of the first sequence, and of others. */
  #lastTokenMs: number | undefined
  #furtherLastTokenMs: Map<number, number> | undefined
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

  /** Facts as they become known; what is absent or undefined stays as it is. */
  describe({ model, endpoint, keyName, stream, sequences }: Partial<RequestFacts>): void {
    if (model !== undefined) this.#model = model
    if (endpoint !== undefined) this.#endpoint = endpoint
    if (keyName !== undefined) this.#keyName = keyName
    if (stream !== undefined) this.#stream = stream
    if (sequences !== undefined) this.#sequences = sequences
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
    const tokens = this.#tokensOf(prompt)
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
        tokens.estimated = event.usage.estimated === true
        return
      case 'finished':
    }
  }

  /** Output of a relayed stream, of about this many tokens; usage corrects them if it comes. */
  relayedOutput(tokens: number, promptTokensEstimate: number): void {
    if (this.#settled) return
    this.#tokens ??= {
      prompt: promptTokensEstimate,
      cached: undefined,
      completion: 0,
      reasoning: undefined,
      estimated: true,
    }
    this.#tokens.completion += tokens
    this.#token(0)
  }

  /** Counts tokens of a request that generates none: embeddings, rerank. */
  promptTokens(count: number): void {
    this.#tokens = { prompt: count, cached: undefined, completion: 0, reasoning: undefined, estimated: false }
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
    const previousMs = sequence === 0 ? this.#lastTokenMs : this.#furtherLastTokenMs?.get(sequence)
    if (sequence === 0) this.#lastTokenMs = nowMs
    else (this.#furtherLastTokenMs ??= new Map()).set(sequence, nowMs)
    if (previousMs === undefined) return
    const gapMs = nowMs - previousMs
    this.#observer?.gap(gapMs)
    if (this.#stallMs === undefined || gapMs > this.#stallMs) this.#stallMs = gapMs
  }

  #tokensOf(prompt: number): PromptTokens {
    if (prompt === 0) return (this.#tokens ??= noTokens())
    this.#furtherTokens ??= new Map()
    let tokens = this.#furtherTokens.get(prompt)
    if (tokens === undefined) {
      tokens = noTokens()
      this.#furtherTokens.set(prompt, tokens)
    }
    return tokens
  }

  #toRecord(error: TokenmillError | undefined): UsageRecord {
    const tokens = this.#totalTokens()
    const perSequence = tokens.completion / Math.max(1, this.#sequences)
    return {
      requestId: this.#requestId,
      operation: this.#operation,
      model: this.#model,
      endpoint: this.#endpoint,
      keyName: this.#keyName,
      stream: this.#stream,
      outcome: error === undefined ? 'completed' : outcomeOf(error),
      errorCode: error?.code,
      httpStatus: this.#httpStatus,
      promptTokens: tokens.prompt,
      cachedTokens: tokens.cached,
      completionTokens: tokens.completion,
      reasoningTokens: tokens.reasoning,
      tokensEstimated: tokens.estimated,
      receivedAtMs: this.#receivedAtMs,
      admittedAfterMs: this.#admittedAfterMs,
      ttftMs: this.#ttftMs,
      tpotMs:
        this.#ttftMs === undefined || perSequence < 2 ? undefined : (this.#lastMs - this.#ttftMs) / (perSequence - 1),
      stallMs: this.#stallMs,
      durationMs: this.#elapsedMs(),
    }
  }

  /** Sums over prompts; a sum with an unknown part is unknown. */
  #totalTokens(): Readonly<PromptTokens> {
    const first = this.#tokens
    const further = this.#furtherTokens
    if (further === undefined) return first ?? noTokens()
    return [...further.values()].reduce(
      (sum, part) => ({
        prompt: sum.prompt + part.prompt,
        cached: sumOrUnknown(sum.cached, part.cached),
        completion: sum.completion + part.completion,
        reasoning: sumOrUnknown(sum.reasoning, part.reasoning),
        estimated: sum.estimated || part.estimated,
      }),
      first ?? { prompt: 0, cached: 0, completion: 0, reasoning: 0, estimated: false },
    )
  }

  #elapsedMs(): number {
    return this.#clock.now() - this.#sinceMs
  }
}

interface PromptTokens {
  prompt: number
  cached: number | undefined
  completion: number
  reasoning: number | undefined
  /** An upstream gave no usage: counted here instead. */
  estimated: boolean
}

function noTokens(): PromptTokens {
  return { prompt: 0, cached: undefined, completion: 0, reasoning: undefined, estimated: false }
}

function sumOrUnknown(a: number | undefined, b: number | undefined): number | undefined {
  return a === undefined || b === undefined ? undefined : a + b
}
