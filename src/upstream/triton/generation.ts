import {
  StopMatcher,
  type ChatInput,
  type FinishReason,
  type GenerationEvent,
  type TokenLogprobs,
} from '../../inference/index.ts'
import { AnswerEvents, type AnswerShape } from '../../model/index.ts'
import { endpointError } from '../../protocol/index.ts'
import type { TritonAsk, TritonDialect, TritonPiece } from './dialect.ts'
import type { OutputTensors } from './tensors.ts'

/**
 * One continuation: its responses become events. Stop texts are looked for here as well as by the server, since not
 * every backend takes them off the text or tells which one it was.
 */
export class TritonGeneration {
  /** The reason has been given; whatever still comes is dropped. */
  finished = false
  readonly #endpoint: string
  readonly #index: number
  readonly #ask: TritonAsk
  readonly #tellsFinish: boolean
  readonly #read: (outputs: OutputTensors) => TritonPiece
  readonly #usage: TritonUsage
  readonly #stop: StopMatcher
  readonly #answer: AnswerEvents
  /** Tokens whose text the matcher still holds back. */
  #heldTokens = 0
  #heldLogprobs: TokenLogprobs[] = []
  #tokens = 0
  #finish: FinishReason | undefined
  #stopReason: string | undefined
  #responses = 0

  constructor(
    endpoint: string,
    index: number,
    ask: TritonAsk,
    dialect: TritonDialect,
    usage: TritonUsage,
    chat: { readonly input: ChatInput; readonly answer: AnswerShape } | undefined,
  ) {
    this.#endpoint = endpoint
    this.#index = index
    this.#ask = ask
    this.#tellsFinish = dialect.tellsFinish(ask.model)
    this.#read = dialect.reader(ask)
    this.#usage = usage
    this.#stop = new StopMatcher(ask.stop)
    this.#answer = new AnswerEvents(index, chat)
  }

  read(outputs: OutputTensors): GenerationEvent[] {
    if (this.finished) return []
    this.#responses += 1
    const piece = this.#read(outputs)
    const tokens = piece.tokens ?? (piece.text === '' ? 0 : 1)
    this.#tokens += tokens
    this.#finish = piece.finish ?? this.#finish
    this.#stopReason = piece.stopReason ?? this.#stopReason
    const events = this.#usage.note(piece, tokens)
    const { text, stop } = this.#stop.push(piece.text)
    this.#heldTokens += tokens
    this.#heldLogprobs.push(...piece.logprobs)
    if (text !== '' || stop !== undefined) events.push(...this.#give(text))
    if (stop !== undefined) events.push(...this.#close('stop', stop))
    return events
  }

  /** After the last response. Throws `upstream_failed` where it was not the last. */
  end(): GenerationEvent[] {
    if (this.finished) return []
    if (this.#responses === 0 || (this.#tellsFinish && this.#finish === undefined)) {
      throw endpointError('upstream_failed', this.#endpoint, 'ended its answer before the last response.')
    }
    const events = [...this.#give(this.#stop.flush())]
    const cut = this.#tokens >= this.#ask.maxTokens
    return [...events, ...this.#close(this.#finish ?? (cut ? 'length' : 'stop'), this.#stopReason)]
  }

  *#give(text: string): Iterable<GenerationEvent> {
    if (text === '' && this.#heldTokens === 0) return
    const logprobs = this.#ask.request.logprobs === undefined ? undefined : this.#heldLogprobs
    yield* this.#answer.push({ text, tokens: this.#heldTokens, logprobs })
    this.#heldTokens = 0
    this.#heldLogprobs = []
  }

  *#close(reason: FinishReason, stopReason: string | undefined): Iterable<GenerationEvent> {
    this.finished = true
    yield* this.#answer.end(reason === 'length' || stopReason !== undefined)
    this.#usage.reasoningTokens += this.#answer.reasoningTokens
    // The template's own end of a turn is no stop text of the client's.
    const told = stopReason !== undefined && this.#ask.request.stop.includes(stopReason) ? { stopReason } : {}
    yield {
      type: 'finished',
      index: this.#index,
      reason: reason === 'stop' && this.#answer.called ? 'toolCalls' : reason,
      ...told,
    }
  }
}

/** Tokens of a request over all its continuations; estimated where a response did not count them. */
export class TritonUsage {
  reasoningTokens = 0
  readonly #prompt: string
  #promptTokens: number | undefined
  #completionTokens = 0
  #counted = true

  constructor(prompt: string) {
    this.#prompt = prompt
  }

  /** `prefilled` with the first count of the prompt. */
  note(piece: TritonPiece, tokens: number): GenerationEvent[] {
    this.#completionTokens += tokens
    if (piece.tokens === undefined) this.#counted = false
    if (this.#promptTokens !== undefined || piece.promptTokens === undefined) return []
    this.#promptTokens = piece.promptTokens
    return [{ type: 'prefilled', promptTokens: piece.promptTokens, cachedTokens: undefined }]
  }

  event(): GenerationEvent {
    return {
      type: 'usage',
      usage: {
        // English text has about four characters a token.
        promptTokens: this.#promptTokens ?? Math.max(1, Math.ceil(this.#prompt.length / 4)),
        cachedTokens: undefined,
        completionTokens: this.#completionTokens,
        reasoningTokens: this.reasoningTokens,
        ...(this.#counted && this.#promptTokens !== undefined ? {} : { estimated: true }),
      },
    }
  }
}
