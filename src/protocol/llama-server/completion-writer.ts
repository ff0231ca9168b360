import type { FinishedEvent, GenerationEvent, TokenUsage } from '../../inference/index.ts'
import type { GenerationEncoder } from '../generation-call.ts'
import { sseFrame } from '../sse-frames.ts'

/** Writes llama-server's own answer: its text as `content`, and how it ended as `stop_type`. */
export class NativeCompletionWriter implements GenerationEncoder {
  readonly #model: string
  readonly #stream: boolean
  #content = ''
  #promptTokens = 0
  #predicted = 0
  #finished: FinishedEvent | undefined
  #usage: TokenUsage | undefined

  constructor(model: string, stream: boolean) {
    this.#model = model
    this.#stream = stream
  }

  event(_prompt: number, event: GenerationEvent): string {
    switch (event.type) {
      case 'prefilled':
        this.#promptTokens = event.promptTokens
        return ''
      case 'text':
      case 'reasoning':
        this.#predicted += event.tokens
        return this.#text(event.text)
      case 'toolCall':
        this.#predicted += event.tokens
        return this.#text(event.arguments)
      case 'finished':
        this.#finished = event
        return ''
      case 'usage':
        this.#usage = event.usage
        return ''
    }
  }

  end(): string {
    const { reason, stopReason } = this.#finished ?? { reason: 'stop', stopReason: undefined }
    const word = typeof stopReason === 'string' ? stopReason : ''
    const last = {
      index: 0,
      content: this.#stream ? '' : this.#content,
      tokens: [],
      stop: true,
      model: this.#model,
      tokens_predicted: this.#usage?.completionTokens ?? this.#predicted,
      tokens_evaluated: this.#usage?.promptTokens ?? this.#promptTokens,
      tokens_cached: this.#usage?.cachedTokens ?? 0,
      truncated: false,
      stop_type: reason === 'length' ? 'limit' : word === '' ? 'eos' : 'word',
      stopping_word: word,
    }
    return this.#stream ? sseFrame(JSON.stringify(last)) : JSON.stringify(last)
  }

  #text(content: string): string {
    if (!this.#stream) {
      this.#content += content
      return ''
    }
    if (content === '') return ''
    const counts = { tokens_predicted: this.#predicted, tokens_evaluated: this.#promptTokens }
    return sseFrame(JSON.stringify({ index: 0, content, tokens: [], stop: false, ...counts }))
  }
}
