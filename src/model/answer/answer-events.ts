import type { ChatInput, GenerationEvent, TokenLogprobs } from '../../inference/index.ts'
import type { AnswerShape } from './answer-shape.ts'
import { createOutputParser, type ChatOutputParser } from './output-parser.ts'

/** Text as an engine generated it, and the tokens that it accounts for. */
export interface AnswerText {
  readonly text: string
  readonly tokens: number
  readonly logprobs: readonly TokenLogprobs[] | undefined
}

/**
 * One continuation on its way into the language of inference. The text of a chat goes through the model's output
 * parser, which tells answer, thinking and tool calls apart and may hold some of it back; the first piece that it lets
 * go accounts for all tokens held until then. Other text stays as it is.
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
  #logprobs: readonly TokenLogprobs[] | undefined

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
    if (this.#parser === undefined) {
      yield { type: 'text', index: this.#index, text, tokens, ...(logprobs && { logprobs }) }
      return
    }
    this.#tokens += tokens
    if (logprobs !== undefined) this.#logprobs = [...(this.#logprobs ?? []), ...logprobs]
    yield* this.#give(this.#parser.push(text))
  }

  /** What was held back; tokens without any text still count, and are billed. */
  *end(): Iterable<GenerationEvent> {
    if (this.#parser === undefined) return
    yield* this.#give(this.#parser.end())
    if (this.#tokens === 0) return
    const { tokens, ...logprobs } = this.#take()
    // What ends a call is no text.
    yield { type: 'text', index: this.#index, text: '', tokens, ...(!this.called && logprobs) }
  }

  *#give(pieces: ReturnType<ChatOutputParser['push']>): Iterable<GenerationEvent> {
    for (const piece of pieces) {
      const { tokens, ...logprobs } = this.#take()
      if (piece.type === 'toolCall') {
        this.called = true
        this.#arguments = (piece.id === undefined ? this.#arguments : '') + piece.arguments
        yield { ...piece, index: this.#index, tokens }
        continue
      }
      if (piece.type === 'reasoning') this.reasoningTokens += tokens
      yield { type: piece.type, index: this.#index, text: piece.text, tokens, ...logprobs }
    }
  }

  #take() {
    const tokens = this.#tokens
    const logprobs = this.#logprobs
    this.#tokens = 0
    this.#logprobs = undefined
    return { tokens, ...(logprobs && { logprobs }) }
  }
}
