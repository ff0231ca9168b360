import type { TokenmillError } from '../core/index.ts'
import type { GenerationEvent, GenerationRequest } from '../inference/index.ts'
import type { GenerationEncoder } from '../protocol/index.ts'
import { Continuation, type Attempt } from '../scheduler/index.ts'
import { writeEvents, type EventSink } from './write-events.ts'

/**
 * An answer that is written from events. It takes note of what it said, so that another replica can say the rest where
 * the first one dies: the encoder stays, the request becomes one for the rest.
 */
export class WrittenAnswer {
  readonly #encoder: GenerationEncoder
  readonly #requests: readonly GenerationRequest[]
  /** Undefined for an answer of several prompts, which is not continued. */
  readonly #continuation: Continuation | undefined
  /** The request for what is left to say, once a replica has died. */
  #rest: GenerationRequest | undefined
  /** Why there is a rest. */
  #death: TokenmillError | undefined
  /** What was said is counted by frames. */
  #estimated = false
  /** Tokens that were said before the rest. */
  #saidTokens = 0

  /** `requests` name the model as the first attempt's engine knows it. */
  constructor(encoder: GenerationEncoder, requests: readonly GenerationRequest[], maxContinuationBytes: number) {
    const [only] = requests
    this.#encoder = encoder
    this.#requests = requests
    if (requests.length === 1 && only !== undefined) this.#continuation = new Continuation(only, maxContinuationBytes)
  }

  /** It goes on from where a replica died. */
  get continues(): boolean {
    return this.#rest !== undefined
  }

  /** What was said of it as bytes, before it came to be written from events. */
  said(text: string, tokens: number): void {
    this.#continuation?.said(text, tokens)
    this.#estimated = true
    // The client has the first delta with its role; what the encoder writes for a first text is not for it.
    this.#encoder.event(0, { type: 'text', index: 0, text: '', tokens: 0 })
    this.#encoder.event(0, { type: 'prefilled', promptTokens: 0, cachedTokens: undefined })
  }

  /** Lets the attempt's engine say it, or its rest. Returns the text that is left to write at the end. */
  async run(attempt: Attempt, sink: Omit<EventSink, 'encoder' | 'map'>): Promise<string> {
    const rest = this.#rest
    const requests = rest === undefined ? this.#requests : [{ ...rest, model: attempt.engineModel }]
    const map = rest === undefined ? this.#noted : this.#ofRest
    return await writeEvents(attempt, requests, { ...sink, encoder: this.#encoder, map })
  }

  /**
   * Counts the tokens of what was relayed with the tokenizer of the replica that continues: engines put several tokens into
   * one frame, so frames undercount. Without a tokenizer, the count of frames stays.
   */
  async recount({ engine, engineModel, signal }: Attempt): Promise<void> {
    const continuation = this.#continuation
    const death = this.#death
    if (!this.#estimated || continuation === undefined || death === undefined) return
    const input = { kind: 'text', text: continuation.text, addSpecialTokens: false } as const
    const tokens = await engine.tokenize?.(engineModel, input, signal).catch(() => undefined)
    if (tokens === undefined) return
    this.#estimated = false
    continuation.recount(tokens.length)
    this.continueAfter(death)
  }

  /** Prepares the request for the rest. False where this error, or this answer, cannot be mended so. */
  continueAfter(error: TokenmillError): boolean {
    const rest = this.#continuation?.rest(error)
    if (rest === undefined) return false
    this.#death = error
    this.#rest = rest
    this.#saidTokens = this.#continuation?.tokens ?? 0
    return true
  }

  readonly #noted = (event: GenerationEvent): GenerationEvent => {
    this.#continuation?.note(event)
    return event
  }

  /** The prompt of the rest is no news to the client, and its usage is that of the whole. */
  readonly #ofRest = (event: GenerationEvent): GenerationEvent | undefined => {
    if (event.type === 'prefilled') return undefined
    if (event.type !== 'usage') return this.#noted(event)
    const usage = this.#continuation?.total(event.usage, this.#saidTokens) ?? event.usage
    return { type: 'usage', usage }
  }
}
