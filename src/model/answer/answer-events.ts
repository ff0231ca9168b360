import type { ChatInput, GenerationEvent, TokenLogprobs } from '../../inference/index.ts'
import type { AnswerShape } from './answer-shape.ts'
import { LogprobCutter } from './logprob-cutter.ts'
import { createOutputParser, type ChatOutputParser } from './output-parser.ts'
import type { ChatPiece } from './piece-writer.ts'

/** Text as an engine generated it, and the tokens that it accounts for. */
export interface AnswerText {
  readonly text: string
  readonly tokens: number
  readonly logprobs: readonly TokenLogprobs[] | undefined
}

/**
 * One continuation on its way into the language of inference. The text of a chat goes through the model's output
 * parser, which tells answer, thinking and tool calls apart and may hold some of it back; the first piece that it lets
 * go accounts for all tokens held until then. Other text stays as it is. Log-probabilities go with the text of their
 * tokens.
 */
export class AnswerEvents {
  /** A tool was called: the turn ended for that. */
  called = false
  reasoningTokens = 0
  /** What the last call's arguments say so far. */
  #arguments = ''
  readonly #index: number
  readonly #parser: ChatOutputParser | undefined
  #tokens = 0
  readonly #logprobs = new LogprobCutter()
  #wantsLogprobs = false
  /** Length of the text so far, where no parser counts it. */
  #length = 0
  #last: 'text' | 'reasoning' = 'text'

  constructor(index: number, chat: { readonly input: ChatInput; readonly answer: AnswerShape } | undefined) {
    this.#index = index
    this.#parser = chat === undefined ? undefined : createOutputParser(chat.input, chat)
  }

  /** The last call has all its arguments: a stop text of the client's may cut it short. */
  get callIsWhole(): boolean {
    try {
      JSON.parse(this.#arguments)
      return true
    } catch {
      return false
    }
  }

  *push({ text, tokens, logprobs }: AnswerText): Iterable<GenerationEvent> {
    this.#tokens += tokens
    if (logprobs !== undefined) {
      this.#wantsLogprobs = true
      this.#logprobs.push(logprobs)
    }
    if (this.#parser !== undefined) return yield* this.#give(this.#parser.push(text))
    yield this.#event({ type: 'text', text, at: this.#length })
    this.#length += text.length
  }

  /** What was held back; tokens without any text still count, and are billed. `cut`: the model had not ended its answer. */
  *end(cut: boolean): Iterable<GenerationEvent> {
    if (this.#parser !== undefined) yield* this.#give(this.#parser.end(cut))
    const rest = this.#logprobs.close()
    if (this.#tokens > 0 || rest.length > 0) yield this.#told(this.#last, '', rest)
  }

  *#give(pieces: readonly ChatPiece[]): Iterable<GenerationEvent> {
    for (const piece of pieces) {
      if (piece.type !== this.#last) {
        const rest = this.#logprobs.close()
        if (rest.length > 0) yield this.#told(this.#last, '', rest)
      }
      if (piece.type !== 'toolCall') {
        yield this.#event(piece)
        continue
      }
      this.called = true
      this.#arguments = (piece.id === undefined ? this.#arguments : '') + piece.arguments
      yield { ...piece, index: this.#index, tokens: this.#take() }
    }
  }

  #event({ type, text, at }: Exclude<ChatPiece, { type: 'toolCall' }>): GenerationEvent {
    this.#last = type
    return this.#told(type, text, this.#logprobs.take(at, text.length))
  }

  #told(type: 'text' | 'reasoning', text: string, logprobs: readonly TokenLogprobs[]): GenerationEvent {
    const tokens = this.#take()
    if (type === 'reasoning') this.reasoningTokens += tokens
    const told = this.#wantsLogprobs && (text !== '' || logprobs.length > 0)
    return { type, index: this.#index, text, tokens, ...(told && { logprobs }) }
  }

  #take(): number {
    const tokens = this.#tokens
    this.#tokens = 0
    return tokens
  }
}
