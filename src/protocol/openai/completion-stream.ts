import type { GenerationEvent, TokenLogprobs, TokenUsage } from '../../inference/index.ts'
import type { AnswerIdentity, GenerationEncoder } from '../generation-call.ts'
import { sseDone } from '../sse-frames.ts'
import { addUsage, toOpenAiUsage } from '../usage.ts'
import type { CompletionManner } from './completion-request.ts'
import { toFinishReason } from './finish-reason.ts'
import { echoOffset, toCompletionLogprobs } from './logprobs.ts'

/** Writes `text_completion` frames. Choice numbers run through: prompt 0's choices, then prompt 1's. */
export class CompletionStreamEncoder implements GenerationEncoder {
  readonly #manner: CompletionManner
  readonly #promptTexts: readonly string[] | undefined
  readonly #envelope: string
  readonly #heads: string[] = []
  /** Length of each choice's text so far: where the next token's text starts. */
  readonly #offsets: number[] = []
  readonly #usages: TokenUsage[] = []
  readonly #running = { promptTokens: 0, completionTokens: 0 }

  constructor(identity: AnswerIdentity, manner: CompletionManner, prompts: number) {
    this.#manner = manner
    this.#promptTexts = identity.promptTexts
    const { id, created, model, fingerprint } = identity
    const envelope = { id, object: 'text_completion', created, model, system_fingerprint: fingerprint }
    this.#envelope = JSON.stringify(envelope).slice(0, -1)
    for (let index = 0; index < prompts * manner.choices; index += 1) {
      this.#heads.push(`data: ${this.#envelope},"choices":[{"index":${index},"text":`)
      this.#offsets.push(0)
    }
  }

  event(prompt: number, event: GenerationEvent): string {
    const first = prompt * this.#manner.choices
    switch (event.type) {
      case 'prefilled':
        this.#running.promptTokens += event.promptTokens
        return this.#manner.echo ? this.#echo(prompt, first, event.promptLogprobs) : ''
      case 'text':
      // A completion has one text: what a template would set apart as thinking stays in it.
      case 'reasoning':
        this.#running.completionTokens += event.tokens
        if (event.text === '' && event.logprobs === undefined) return ''
        return this.#text(first + event.index, event.text, event.logprobs)
      case 'toolCall':
        return this.#text(first + event.index, event.arguments)
      case 'finished': {
        const reason = toFinishReason(event.reason, false)
        const stop = JSON.stringify(event.stopReason ?? null)
        const head = this.#heads[first + event.index]
        return `${head}"","logprobs":null,"finish_reason":"${reason}","stop_reason":${stop}}]${this.#tail()}`
      }
      case 'usage':
        this.#usages[prompt] = event.usage
        return ''
    }
  }

  end(): string {
    if (!this.#manner.includeUsage) return sseDone
    const usages = Object.values(this.#usages)
    const usage = usages.length === 0 ? this.#runningUsage() : usages.reduce(addUsage)
    return `data: ${this.#envelope},"choices":[],"usage":${JSON.stringify(toOpenAiUsage(usage))}}\n\n${sseDone}`
  }

  #echo(prompt: number, first: number, logprobs: readonly TokenLogprobs[] | undefined): string {
    const text = this.#promptTexts?.[prompt] ?? ''
    let frames = ''
    for (let choice = 0; choice < this.#manner.choices; choice += 1)
      frames += this.#text(first + choice, text, logprobs, echoOffset(text, logprobs ?? []))
    return frames
  }

  #text(
    index: number,
    text: string,
    logprobs?: readonly TokenLogprobs[],
    offset: number = this.#offsets[index] ?? 0,
  ): string {
    this.#offsets[index] = (this.#offsets[index] ?? 0) + text.length
    const marks =
      logprobs === undefined || !this.#manner.showLogprobs
        ? 'null'
        : JSON.stringify(toCompletionLogprobs(logprobs, offset))
    return `${this.#heads[index]}${JSON.stringify(text)},"logprobs":${marks},"finish_reason":null}]${this.#tail()}`
  }

  #runningUsage(): TokenUsage {
    return { ...this.#running, cachedTokens: undefined, reasoningTokens: undefined }
  }

  #tail(): string {
    if (this.#manner.continuousUsage) return `,"usage":${JSON.stringify(toOpenAiUsage(this.#runningUsage()))}}\n\n`
    return this.#manner.includeUsage ? ',"usage":null}\n\n' : '}\n\n'
  }
}
