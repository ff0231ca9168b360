import type { FinishReason, GenerationEvent, TokenUsage, ToolCallEvent } from '../../inference/index.ts'
import type { AnswerIdentity, GenerationEncoder } from '../generation-call.ts'
import { toOpenAiUsage } from '../usage.ts'
import type { ChatManner } from './chat-stream.ts'
import { toFinishReason } from './finish-reason.ts'
import { toChatLogprobs, type ChatTokenLogprobs } from './logprobs.ts'

/** Gathers the events of a chat into one `chat.completion` object. */
export class ChatAnswerEncoder implements GenerationEncoder {
  readonly #identity: AnswerIdentity
  readonly #manner: ChatManner
  readonly #choices: Choice[]
  #usage: TokenUsage = { promptTokens: 0, cachedTokens: undefined, completionTokens: 0, reasoningTokens: undefined }

  constructor(identity: AnswerIdentity, manner: ChatManner) {
    this.#identity = identity
    this.#manner = manner
    this.#choices = Array.from({ length: manner.choices }, () => ({
      content: '',
      reasoning: '',
      calls: [],
      logprobs: undefined,
      finished: 'stop',
      stopReason: null,
    }))
  }

  event(_prompt: number, event: GenerationEvent): string {
    if (event.type === 'usage') this.#usage = event.usage
    if (event.type === 'prefilled' || event.type === 'usage') return ''
    const choice = this.#choices[event.index]
    if (choice === undefined) return ''
    switch (event.type) {
      case 'text':
        choice.content += event.text
        if (event.logprobs !== undefined) (choice.logprobs ??= []).push(...toChatLogprobs(event.logprobs))
        break
      case 'reasoning':
        choice.reasoning += event.text
        break
      case 'toolCall':
        addToCall(choice, event)
        break
      case 'finished':
        choice.finished = event.reason
        choice.stopReason = event.stopReason ?? null
        break
    }
    return ''
  }

  end(): string {
    const { id, created, model, fingerprint } = this.#identity
    const choices = this.#choices.map((choice, index) => ({
      index,
      message: toMessage(choice),
      logprobs: choice.logprobs === undefined ? null : { content: choice.logprobs, refusal: null },
      finish_reason: toFinishReason(choice.finished, this.#manner.namedTool),
      stop_reason: choice.stopReason,
    }))
    const usage = toOpenAiUsage(this.#usage)
    return JSON.stringify({
      id,
      object: 'chat.completion',
      created,
      model,
      system_fingerprint: fingerprint,
      choices,
      usage,
    })
  }
}

interface Choice {
  content: string
  reasoning: string
  readonly calls: { id: string; name: string; arguments: string }[]
  logprobs: ChatTokenLogprobs[] | undefined
  finished: FinishReason
  stopReason: string | number | null
}

function addToCall(choice: Choice, event: ToolCallEvent): void {
  const call = (choice.calls[event.call] ??= {
    id: event.id ?? `call_${event.index}_${event.call}`,
    name: event.name ?? '',
    arguments: '',
  })
  call.arguments += event.arguments
}

function toMessage(choice: Choice): object {
  const called = choice.calls.length > 0
  return {
    role: 'assistant',
    content: called && choice.content === '' ? null : choice.content,
    refusal: null,
    // Two names for one thing: vLLM's, and the one that llama-server and many clients know.
    ...(choice.reasoning === '' ? {} : { reasoning: choice.reasoning, reasoning_content: choice.reasoning }),
    ...(called
      ? {
          tool_calls: choice.calls.map((call) => ({
            id: call.id,
            type: 'function',
            function: { name: call.name, arguments: call.arguments || '{}' },
          })),
        }
      : {}),
  }
}
