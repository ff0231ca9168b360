import type { TokenmillError } from '../core/index.ts'
import { appendText, type GenerationEvent, type GenerationRequest, type TokenUsage } from '../inference/index.ts'

/**
 * What a generation has said so far, and the request that says the rest on another replica: the same chat with the
 * text as its last message, to be continued, or the same prompt with the text behind it. Only plain text can be
 * carried over: one continuation, no tools, no thinking, no log-probabilities, no constraint.
 *
 * The client sees one answer: no text twice, none missing, one usage over both parts. Where the tokenizer would have
 * cut at another place than the break, the new replica's tokens differ from those that the old one would have chosen.
 */
export class Continuation {
  readonly #request: GenerationRequest
  readonly #maxBytes: number
  #text = ''
  #tokens = 0
  #plain: boolean
  #finished = false
  #promptTokens: number | undefined

  constructor(request: GenerationRequest, maxBytes: number) {
    this.#request = request
    this.#maxBytes = maxBytes
    this.#plain = isPlain(request)
  }

  get tokens(): number {
    return this.#tokens
  }

  /** Takes note of an event of the first part. */
  note(event: GenerationEvent): void {
    switch (event.type) {
      case 'prefilled':
        this.#promptTokens = event.promptTokens
        return
      case 'text':
        this.#tokens += event.tokens
        if (this.#plain) this.#text += event.text
        if (this.#text.length > this.#maxBytes) this.#drop()
        return
      case 'reasoning':
      case 'toolCall':
        this.#drop()
        return
      case 'finished':
        this.#finished = true
        return
      case 'usage':
    }
  }

  get text(): string {
    return this.#text
  }

  /** The tokens of what was said, once they have been counted. */
  recount(tokens: number): void {
    this.#tokens = tokens
  }

  /** Text and tokens that were said elsewhere. */
  said(text: string, tokens: number): void {
    this.note({ type: 'text', index: 0, text, tokens })
  }

  /** The request for the rest; undefined where this error or this generation cannot be mended so. */
  rest(error: TokenmillError): GenerationRequest | undefined {
    if (!this.#plain || this.#finished || this.#text === '' || !isDeath(error)) return undefined
    const { input, maxTokens, minTokens, ...rest } = this.#request
    const left = maxTokens === undefined ? undefined : maxTokens - this.#tokens
    // The limit was reached as the replica died: nothing is left to say but the end.
    if (left !== undefined && left <= 0) return undefined
    const least = minTokens === undefined ? 0 : minTokens - this.#tokens
    const same = { ...rest, maxTokens: left, ...(least > 0 ? { minTokens: least } : {}) }
    if (input.kind === 'text') {
      return { ...same, input: { kind: 'text', text: input.text + this.#text } }
    }
    if (input.kind !== 'chat') return undefined
    const { messages } = input.chat
    const last = messages.at(-1)
    const continued =
      input.chat.continueFinalMessage && last?.role === 'assistant'
        ? [...messages.slice(0, -1), { ...last, content: appendText(last.content, this.#text) }]
        : [...messages, { role: 'assistant' as const, content: this.#text }]
    return {
      ...same,
      input: { kind: 'chat', chat: { ...input.chat, messages: continued, continueFinalMessage: true } },
    }
  }

  /** The usage of both parts: the second's prompt holds the `firstTokens` that had been said before it. */
  total(second: TokenUsage, firstTokens: number): TokenUsage {
    return {
      promptTokens: this.#promptTokens ?? Math.max(0, second.promptTokens - firstTokens),
      // Of the second prompt; how much of the client's own was cached at first is lost with the replica.
      cachedTokens: undefined,
      completionTokens: firstTokens + second.completionTokens,
      reasoningTokens: second.reasoningTokens,
      estimated: true,
    }
  }

  #drop(): void {
    this.#plain = false
    this.#text = ''
  }
}

function isPlain(request: GenerationRequest): boolean {
  const { n, logprobs, promptLogprobs, constraint, input, truncatePromptTokens } = request
  // The answer so far would push more of the prompt out.
  if (truncatePromptTokens !== undefined) return false
  if (n !== 1 || logprobs !== undefined || promptLogprobs !== undefined || constraint !== undefined) return false
  return input.kind === 'text' || (input.kind === 'chat' && input.chat.tools.length === 0)
}

function isDeath({ code }: TokenmillError): boolean {
  return code === 'upstream_failed' || code === 'upstream_timeout' || code === 'engine_failed' || code === 'unavailable'
}
