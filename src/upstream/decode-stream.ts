import type { FinishReason, GenerationEvent, TokenLogprob, TokenLogprobs, TokenUsage } from '../inference/index.ts'
import { emptyStream, endpointError, readEventFailure, readUsage, streamError } from '../protocol/index.ts'

/**
 * Turns the events of an OpenAI stream (chat or completions) into the language of all rooms. One instance a stream.
 *
 * Remote engines do not say how long the prompt was before the end, so `prefilled` comes only from those that put
 * usage on every chunk; from those a chunk of a single continuation also counts exactly the tokens since the last one.
 * Elsewhere a chunk counts as one token until the closing usage corrects the sum. Token ids are −1: the protocol does
 * not carry them.
 */
export class StreamDecoder {
  /** `[DONE]` came. */
  done = false
  readonly #endpoint: string
  readonly #n: number
  readonly #calls = new Map<number, Set<number>>()
  #usage: TokenUsage | undefined
  #prefilled = false
  #finished = 0
  #tokens = 0
  /** Tokens of the running usage that no event has accounted for; undefined without one. */
  #uncounted: number | undefined
  #counted = 0

  constructor(endpoint: string, n: number) {
    this.#endpoint = endpoint
    this.#n = n
  }

  /** Every choice has ended, or the upstream said so: what ends here is whole. */
  get complete(): boolean {
    return this.done || this.#finished >= this.#n
  }

  /** The events in one frame's data. Throws the upstream's error, or `upstream_failed` for what is no chunk. */
  read(data: string, event?: string): GenerationEvent[] {
    if (data === '[DONE]') {
      this.done = true
      return []
    }
    const value = parse(data)
    const failure = readEventFailure(value, event)
    if (failure !== undefined) throw streamError(this.#endpoint, failure)
    const chunk = value as Chunk
    this.#takeUsage(readUsage(chunk.usage))
    const events: GenerationEvent[] = []
    const choices = Array.isArray(chunk.choices) ? chunk.choices : []
    if (!this.#prefilled && choices.length > 0 && this.#usage !== undefined) {
      this.#prefilled = true
      events.push({ type: 'prefilled', promptTokens: this.#usage.promptTokens, cachedTokens: this.#usage.cachedTokens })
    }
    for (const choice of choices) this.#readChoice(choice, events)
    return events
  }

  /** Usage, once the stream has ended. Throws `upstream_failed` where it ended too early. */
  end(): GenerationEvent {
    if (!this.complete) {
      throw endpointError('upstream_failed', this.#endpoint, 'ended its stream before the last event.')
    }
    if (this.#tokens === 0 && this.#finished === 0) throw streamError(this.#endpoint, emptyStream)
    return {
      type: 'usage',
      usage: this.#usage ?? {
        promptTokens: 0,
        cachedTokens: undefined,
        completionTokens: this.#tokens,
        reasoningTokens: undefined,
        estimated: true,
      },
    }
  }

  #takeUsage(usage: TokenUsage | undefined): void {
    if (usage === undefined) return
    this.#usage = usage
    if (this.#n === 1) this.#uncounted = Math.max(0, usage.completionTokens - this.#counted)
  }

  #readChoice(choice: ChunkChoice, events: GenerationEvent[]): void {
    const index = choice.index ?? 0
    const delta = choice.delta ?? choice.message ?? {}
    const logprobs = readLogprobs(choice.logprobs)
    const extra = logprobs.length === 0 ? {} : { logprobs }
    const { text, reasoning } = readTexts(choice, delta)
    if (reasoning !== '') events.push({ type: 'reasoning', index, text: reasoning, tokens: this.#count(logprobs) })
    if (text !== '') events.push({ type: 'text', index, text, tokens: this.#count(logprobs), ...extra })
    // A call of the old kind: one, without an id.
    const old = delta.function_call
    const calls = delta.tool_calls ?? (old === undefined || old === null ? [] : [{ function: old }])
    for (const call of calls) this.#readCall(index, call, events)
    const reason = finishReason(choice.finish_reason)
    if (reason === undefined) return
    this.#finished += 1
    // Tokens without text of their own: the end-of-turn, or the first half of a character that never came.
    if (this.#uncounted !== undefined && this.#uncounted > 0) {
      events.push({ type: 'text', index, text: '', tokens: this.#count([]) })
    }
    // SGLang calls it so.
    const stop = choice.stop_reason ?? choice.matched_stop
    events.push({
      type: 'finished',
      index,
      reason,
      ...(stop === undefined || stop === null ? {} : { stopReason: stop }),
    })
  }

  #readCall(index: number, piece: ChunkToolCall, events: GenerationEvent[]): void {
    const call = piece.index ?? 0
    const known = this.#calls.get(index) ?? new Set<number>()
    this.#calls.set(index, known)
    const first = !known.has(call)
    known.add(call)
    events.push({
      type: 'toolCall',
      index,
      call,
      ...(first ? { id: piece.id ?? `call_${index}_${call}`, name: piece.function?.name ?? '' } : {}),
      arguments: piece.function?.arguments ?? '',
      tokens: this.#count([]),
    })
  }

  #count(logprobs: readonly TokenLogprobs[]): number {
    const tokens = this.#uncounted ?? Math.max(1, logprobs.length)
    if (this.#uncounted !== undefined) this.#uncounted = 0
    this.#counted += tokens
    this.#tokens += tokens
    return tokens
  }
}

interface Chunk {
  readonly choices?: readonly ChunkChoice[]
  readonly usage?: unknown
}

interface ChunkChoice {
  readonly index?: number
  readonly text?: string | null
  readonly delta?: Delta
  /** A whole answer in place of a stream's pieces. */
  readonly message?: Delta
  readonly finish_reason?: string | null
  readonly stop_reason?: string | number | null
  readonly matched_stop?: string | number | null
  readonly logprobs?: unknown
}

interface Delta {
  readonly content?: string | readonly ContentPart[] | null
  readonly refusal?: string | null
  readonly reasoning?: string | null
  readonly reasoning_content?: string | null
  readonly reasoning_details?: readonly ReasoningDetail[] | null
  readonly tool_calls?: readonly ChunkToolCall[] | null
  readonly function_call?: ChunkToolCall['function']
}

/** Mistral's parts: `{type: "text", text}` and `{type: "thinking", thinking: [{type: "text", text}]}`. */
interface ContentPart {
  readonly type?: string
  readonly text?: string
  readonly thinking?: string | readonly { readonly text?: string }[]
}

/** OpenRouter's pieces of thinking. */
interface ReasoningDetail {
  readonly text?: string | null
  readonly summary?: string | null
}

interface ChunkToolCall {
  readonly index?: number
  readonly id?: string | null
  readonly function?: { readonly name?: string | null; readonly arguments?: string | null } | null
}

/** The answer's text and its thinking, in whichever form they came. */
function readTexts(choice: ChunkChoice, delta: Delta): { readonly text: string; readonly reasoning: string } {
  const parts = Array.isArray(delta.content) ? (delta.content as readonly ContentPart[]) : []
  const content = typeof delta.content === 'string' ? delta.content : parts.map(({ text = '' }) => text).join('')
  const thinking = parts.map(({ thinking = '' }) =>
    typeof thinking === 'string' ? thinking : thinking.map(({ text = '' }) => text).join(''),
  )
  const details = (delta.reasoning_details ?? []).map(({ text, summary }) => text ?? summary ?? '')
  return {
    text: content || delta.refusal || choice.text || '',
    reasoning: delta.reasoning || delta.reasoning_content || thinking.join('') || details.join(''),
  }
}

/** The value; undefined where the text is no JSON. */
function parse(data: string): unknown {
  try {
    return JSON.parse(data)
  } catch {
    return undefined
  }
}

function finishReason(text: string | null | undefined): FinishReason | undefined {
  if (text === undefined || text === null) return undefined
  if (text === 'length') return 'length'
  if (text === 'tool_calls' || text === 'function_call') return 'toolCalls'
  if (text === 'content_filter') return 'contentFilter'
  return 'stop'
}

/** Both forms: chat's list of tokens, and the parallel arrays of completions. */
function readLogprobs(value: unknown): TokenLogprobs[] {
  if (typeof value !== 'object' || value === null) return []
  const chat = value as { content?: readonly ChatLogprob[] | null }
  if (Array.isArray(chat.content)) {
    return chat.content.map((entry: ChatLogprob) => ({
      token: readLogprob(entry),
      top: (entry.top_logprobs ?? []).map(readLogprob),
    }))
  }
  const old = value as {
    tokens?: readonly string[]
    token_logprobs?: readonly (number | null)[]
    top_logprobs?: readonly (Readonly<Record<string, number>> | null)[] | null
  }
  return (old.tokens ?? []).map((token, at) => ({
    token: readLogprob({ token, logprob: old.token_logprobs?.[at] ?? -Infinity }),
    top: Object.entries(old.top_logprobs?.[at] ?? {})
      .map(([text, logprob]) => readLogprob({ token: text, logprob }))
      .sort((a, b) => b.logprob - a.logprob),
  }))
}

interface ChatLogprob {
  readonly token: string
  readonly logprob: number
  readonly bytes?: readonly number[] | null
  readonly top_logprobs?: readonly ChatLogprob[]
}

function readLogprob(entry: ChatLogprob): TokenLogprob {
  const bytes =
    entry.bytes === undefined || entry.bytes === null ? Buffer.from(entry.token) : Uint8Array.from(entry.bytes)
  return { id: -1, bytes, logprob: entry.logprob }
}
