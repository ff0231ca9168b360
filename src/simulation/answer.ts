import type { Random } from '../core/index.ts'
import { StopMatcher, type GenerationEvent } from '../inference/index.ts'
import { sampleLength, type Distribution } from '../workload/index.ts'

export interface AnswerParts {
  readonly index: number
  readonly stop: readonly string[]
  /** Why the last token is the last. */
  readonly reason: 'stop' | 'length'
  /** Tokens that one event carries. */
  readonly tokensPerEvent: Distribution
  readonly random: Random
}

/** One continuation's text: gathers tokens into events, and ends before a stop text. */
export class Answer {
  readonly #parts: AnswerParts
  readonly #matcher: StopMatcher
  #text = ''
  #tokens = 0
  #eventTokens: number

  constructor(parts: AnswerParts) {
    this.#parts = parts
    this.#matcher = new StopMatcher(parts.stop)
    this.#eventTokens = sampleLength(parts.tokensPerEvent, parts.random)
  }

  /** Takes the next token. True: the continuation is complete. */
  take(token: string, last: boolean, emit: (event: GenerationEvent) => void): boolean {
    const { text, stop } = this.#matcher.push(token)
    this.#text += text
    this.#tokens += 1
    const ended = last || stop !== undefined
    if (ended && stop === undefined) this.#text += this.#matcher.flush()
    if (ended || (this.#tokens >= this.#eventTokens && this.#text !== '')) this.#emitText(emit)
    if (!ended) return false
    const { index, reason } = this.#parts
    if (stop === undefined) emit({ type: 'finished', index, reason })
    else emit({ type: 'finished', index, reason: 'stop', stopReason: stop })
    return true
  }

  #emitText(emit: (event: GenerationEvent) => void): void {
    emit({ type: 'text', index: this.#parts.index, text: this.#text, tokens: this.#tokens })
    this.#text = ''
    this.#tokens = 0
    this.#eventTokens = sampleLength(this.#parts.tokensPerEvent, this.#parts.random)
  }
}
