import type { GenerationEvent, TokenLogprobs, TokenUsage, ToolCallEvent } from '../../inference/index.ts'
import type { AnswerIdentity, GenerationEncoder } from '../generation-call.ts'
import { sseDone } from '../sse-frames.ts'
import { toOpenAiUsage } from '../usage.ts'
import { toFinishReason } from './finish-reason.ts'
import { toChatLogprobs } from './logprobs.ts'
import type { StreamManner } from './stream-options.ts'

export interface ChatManner extends StreamManner {
  /** The client named the one function to call. */
  readonly namedTool: boolean
  /** Tools are offered: the answer may be a call. */
  readonly mayCall: boolean
  /** n */
  readonly choices: number
}

/**
 * Writes `chat.completion.chunk` frames. A frame costs one JSON.stringify of the new text; all around it is built
 * once for the stream:
 *
 *   data: {"id":…,"choices":[{"index":0,"delta":{  "content":"…"  },"logprobs":null,"finish_reason":null}],"usage":null}
 *   └───────────── #heads[index] ───────────────┘└─ per frame ──┘└────────────── constant ──────────────┘└── #tail ──┘
 */
export class ChatStreamEncoder implements GenerationEncoder {
  readonly #manner: ChatManner
  readonly #envelope: string
  readonly #heads: string[] = []
  readonly #opened: boolean[] = []
  /** For each choice, which of its calls have had arguments so far. */
  readonly #calls: boolean[][] = []
  #usage: TokenUsage = { promptTokens: 0, cachedTokens: undefined, completionTokens: 0, reasoningTokens: undefined }

  constructor(identity: AnswerIdentity, manner: ChatManner) {
    this.#manner = manner
    const { id, created, model, fingerprint } = identity
    const envelope = JSON.stringify({
      id,
      object: 'chat.completion.chunk',
      created,
      model,
      system_fingerprint: fingerprint,
    })
    this.#envelope = envelope.slice(0, -1)
    for (let index = 0; index < manner.choices; index += 1) {
      this.#heads.push(`data: ${this.#envelope},"choices":[{"index":${index},"delta":{`)
    }
  }

  event(_prompt: number, event: GenerationEvent): string {
    switch (event.type) {
      case 'prefilled':
        this.#usage = { ...this.#usage, promptTokens: event.promptTokens }
        // A call's first chunk says `content: null`, so that it waits for the first output.
        return this.#manner.mayCall ? '' : this.#heads.map((_, index) => this.#open(index)).join('')
      case 'text':
        this.#count(event.tokens)
        if (event.text === '' && event.logprobs === undefined) return ''
        return (
          this.#open(event.index) + this.#delta(event.index, `"content":${JSON.stringify(event.text)}`, event.logprobs)
        )
      case 'reasoning': {
        this.#count(event.tokens)
        if (event.text === '') return ''
        const text = JSON.stringify(event.text)
        return this.#open(event.index) + this.#delta(event.index, `"reasoning":${text},"reasoning_content":${text}`)
      }
      case 'toolCall':
        this.#count(event.tokens)
        return this.#open(event.index, 'null') + this.#toolCall(event)
      case 'finished':
        return (
          this.#open(event.index) +
          this.#completeArguments(event.index) +
          this.#finish(event.index, toFinishReason(event.reason, this.#manner.namedTool), event.stopReason)
        )
      case 'usage':
        this.#usage = event.usage
        return ''
    }
  }

  end(): string {
    if (!this.#manner.includeUsage) return sseDone
    return `data: ${this.#envelope},"choices":[],"usage":${JSON.stringify(toOpenAiUsage(this.#usage))}}\n\n${sseDone}`
  }

  /** The first delta of a choice carries the role, once. */
  #open(index: number, content = '""'): string {
    if (this.#opened[index] === true) return ''
    this.#opened[index] = true
    return this.#delta(index, `"role":"assistant","content":${content}`)
  }

  #delta(index: number, delta: string, logprobs?: readonly TokenLogprobs[]): string {
    const marks =
      logprobs === undefined ? 'null' : `{"content":${JSON.stringify(toChatLogprobs(logprobs))},"refusal":null}`
    return `${this.#heads[index]}${delta}},"logprobs":${marks},"finish_reason":null}]${this.#tail()}`
  }

  #finish(index: number, reason: string, stopReason: string | number | undefined): string {
    const stop = JSON.stringify(stopReason ?? null)
    return `${this.#heads[index]}},"logprobs":null,"finish_reason":"${reason}","stop_reason":${stop}}]${this.#tail()}`
  }

  /** The first piece of a call brings index, id, type and name; later pieces index and arguments alone. */
  #toolCall(event: ToolCallEvent): string {
    const calls = (this.#calls[event.index] ??= [])
    const first = calls[event.call] === undefined
    calls[event.call] = calls[event.call] === true || event.arguments !== ''
    const text = JSON.stringify(event.arguments)
    const call = first
      ? `{"index":${event.call},"id":${JSON.stringify(event.id ?? `call_${event.index}_${event.call}`)},"type":"function","function":{"name":${JSON.stringify(event.name ?? '')},"arguments":${text}}}`
      : `{"index":${event.call},"function":{"arguments":${text}}}`
    if (!first && event.arguments === '') return ''
    return this.#delta(event.index, `"tool_calls":[${call}]`)
  }

  /** A call without arguments is a call with the empty object: clients parse what they gathered. */
  #completeArguments(index: number): string {
    return (this.#calls[index] ?? [])
      .map((hadArguments, call) =>
        hadArguments ? '' : this.#delta(index, `"tool_calls":[{"index":${call},"function":{"arguments":"{}"}}]`),
      )
      .join('')
  }

  #count(tokens: number): void {
    if (!this.#manner.continuousUsage) return
    this.#usage = { ...this.#usage, completionTokens: this.#usage.completionTokens + tokens }
  }

  #tail(): string {
    if (this.#manner.continuousUsage) return `,"usage":${JSON.stringify(toOpenAiUsage(this.#usage))}}\n\n`
    return this.#manner.includeUsage ? ',"usage":null}\n\n' : '}\n\n'
  }
}
