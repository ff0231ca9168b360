import { SseReader, type SseEvent } from '../../protocol/index.ts'

/** Usage as the server reported it; undefined fields were not reported. */
export interface ReportedUsage {
  readonly promptTokens: number | undefined
  readonly cachedTokens: number | undefined
  readonly completionTokens: number | undefined
}

interface WireChunk {
  readonly error?: { readonly message?: unknown } | string | null
  readonly choices?: readonly WireChoice[] | null
  readonly usage?: {
    readonly prompt_tokens?: unknown
    readonly completion_tokens?: unknown
    readonly prompt_tokens_details?: { readonly cached_tokens?: unknown } | null
  } | null
  readonly data?: unknown
}

interface WireChoice {
  readonly delta?: WireText | null
  readonly message?: WireText | null
  readonly text?: unknown
  readonly finish_reason?: unknown
}

interface WireText {
  readonly content?: unknown
  readonly reasoning_content?: unknown
  readonly reasoning?: unknown
  readonly tool_calls?: readonly { readonly function?: { readonly arguments?: unknown; readonly name?: unknown } }[]
}

/**
 * Turns the body of one answer, streamed or whole, into times and counts. `keepText` keeps the text for the next
 * turn or for a tokenizer; without it memory grows by one number a chunk.
 */
export class StreamTimeline {
  firstEventMs: number | undefined
  readonly chunksMs: number[] = []
  /** Output tokens known after each chunk, where the server reports running usage. */
  readonly tokensAfter: number[] = []
  usage: ReportedUsage | undefined
  finishReason: string | undefined
  done = false
  outputChars = 0
  text = ''
  /** Set by the first thing that is not as the API defines; nothing after it is read. */
  problem: { readonly kind: 'malformed' | 'errorEvent'; readonly message: string } | undefined
  readonly #reader: SseReader
  readonly #keepText: boolean
  #nowMs = 0

  constructor(maxEventBytes: number, keepText: boolean) {
    this.#reader = new SseReader({ maxEventBytes })
    this.#keepText = keepText
  }

  /** Bytes of an event stream that arrived at `nowMs`. Returns the number of events they completed. */
  pushEvents(bytes: Uint8Array, nowMs: number): number {
    this.#nowMs = nowMs
    let events = 0
    try {
      this.#reader.push(bytes, (event) => {
        events += 1
        this.#take(event)
      })
    } catch (error) {
      this.#fail('malformed', error instanceof Error ? error.message : String(error))
    }
    return events
  }

  /** A whole JSON answer that arrived at `nowMs`. */
  takeBody(body: string, nowMs: number): void {
    this.#nowMs = nowMs
    this.firstEventMs = nowMs
    this.#takeJson(body)
    this.done = true
  }

  #take(event: SseEvent): void {
    if (this.problem !== undefined) return
    this.firstEventMs ??= this.#nowMs
    if (event.data === '[DONE]') this.done = true
    else this.#takeJson(event.data)
  }

  #takeJson(json: string): void {
    let chunk: WireChunk | null
    try {
      chunk = JSON.parse(json) as WireChunk | null
    } catch {
      return this.#fail('malformed', `not JSON: ${json.slice(0, 80)}`)
    }
    if (typeof chunk !== 'object' || chunk === null) return this.#fail('malformed', `no object: ${json.slice(0, 80)}`)
    if (chunk.error !== undefined && chunk.error !== null) return this.#fail('errorEvent', errorText(chunk.error))
    if (chunk.usage !== undefined && chunk.usage !== null) this.#takeUsage(chunk.usage)
    if (chunk.choices !== undefined && chunk.choices !== null) this.#takeChoices(chunk.choices)
    else if (Array.isArray(chunk.data)) this.#arrived('')
  }

  #takeChoices(choices: readonly WireChoice[]): void {
    if (!Array.isArray(choices)) return this.#fail('malformed', 'choices is no list')
    for (const choice of choices as readonly WireChoice[]) {
      const text = textOf(choice)
      if (text !== '') this.#arrived(text)
      if (typeof choice?.finish_reason === 'string') this.finishReason = choice.finish_reason
    }
  }

  #arrived(text: string): void {
    this.chunksMs.push(this.#nowMs)
    this.outputChars += text.length
    if (this.#keepText) this.text += text
    const running = this.usage?.completionTokens
    if (running !== undefined) this.tokensAfter[this.chunksMs.length - 1] = running
  }

  #takeUsage(usage: NonNullable<WireChunk['usage']>): void {
    this.usage = {
      promptTokens: countOf(usage.prompt_tokens),
      completionTokens: countOf(usage.completion_tokens),
      cachedTokens: countOf(usage.prompt_tokens_details?.cached_tokens),
    }
  }

  #fail(kind: 'malformed' | 'errorEvent', message: string): void {
    this.problem ??= { kind, message: message.slice(0, 200) }
  }
}

/** Everything the model generated in a choice: answer, reasoning, arguments of tool calls. */
function textOf(choice: WireChoice | null | undefined): string {
  if (typeof choice !== 'object' || choice === null) return ''
  if (typeof choice.text === 'string') return choice.text
  const body = choice.delta ?? choice.message
  if (typeof body !== 'object' || body === null) return ''
  if (typeof body.content === 'string' && body.content !== '') return body.content
  // Servers that speak both names send the same text twice: it counts once.
  const reasoning = body.reasoning_content ?? body.reasoning
  if (typeof reasoning === 'string' && reasoning !== '') return reasoning
  if (!Array.isArray(body.tool_calls)) return ''
  const calls = body.tool_calls as NonNullable<WireText['tool_calls']>
  return calls.map((call) => `${textPart(call?.function?.name)}${textPart(call?.function?.arguments)}`).join('')
}

function textPart(value: unknown): string {
  return typeof value === 'string' ? value : ''
}

/** A count of tokens as a server may report it; anything else is unknown. */
function countOf(value: unknown): number | undefined {
  return typeof value === 'number' && Number.isFinite(value) && value >= 0 ? value : undefined
}

function errorText(error: NonNullable<WireChunk['error']>): string {
  if (typeof error === 'string') return error
  return typeof error.message === 'string' ? error.message : JSON.stringify(error)
}
