import {
  readAnswerFailure,
  readEventFailure,
  SseReader,
  type SseEvent,
  type UpstreamFailure,
} from '../../protocol/index.ts'
import { learnTemplate, matchTemplate, type FrameTemplate } from './frame-template.ts'
import { outputText, type WireChoice } from './output-text.ts'
import { completionTokensOf } from './reported-usage.ts'

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

/** Templates that did not fit the next event, in a row, after which a stream's events are all parsed. */
const maxTemplateMisses = 8
const fewestTimes = 64

/**
 * Turns the body of one answer, streamed or whole, into times and counts. `keepText` keeps the text for the next
 * turn or for a tokenizer; without it memory grows by one number a chunk. Events that differ from one already parsed
 * in their text alone are recognised by their bytes.
 */
export class StreamTimeline {
  firstEventMs: number | undefined
  /** Chunks with content so far. */
  chunks = 0
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
  #timesMs = new Float64Array(fewestTimes)
  #template: FrameTemplate | undefined
  #misses = 0
  #nowMs = 0

  constructor(maxEventBytes: number, keepText: boolean) {
    this.#reader = new SseReader({ maxEventBytes })
    this.#keepText = keepText
  }

  /** When each chunk with content arrived. */
  get chunksMs(): Float64Array {
    return this.#timesMs.slice(0, this.chunks)
  }

  /** Bytes `start` to `end` of an event stream, which arrived at `nowMs`. */
  pushEvents(bytes: Buffer, nowMs: number, start = 0, end = bytes.length): void {
    this.#nowMs = nowMs
    let at = start
    while (at < end && this.problem === undefined) {
      if (this.#template !== undefined && !this.#reader.unfinished) {
        const next = this.#takeAlike(this.#template, bytes, at, end)
        if (next > at) {
          at = next
          continue
        }
      }
      // One event at a time, so that those after it may be recognised again.
      const blank = bytes.indexOf(blankLine, at, 'latin1')
      const stop = blank < 0 || blank >= end ? end : Math.min(end, blank + blankLine.length)
      this.#parse(bytes.subarray(at, stop))
      at = stop
    }
  }

  /** Takes an event that differs from the template in its text alone. Returns where it ends; `at` where it does not. */
  #takeAlike(template: FrameTemplate, bytes: Buffer, at: number, end: number): number {
    const textEnd = matchTemplate(template, bytes, at, end)
    if (textEnd < 0) return at
    const textStart = at + template.prefix.length
    this.#misses = 0
    if (this.#keepText) this.text += bytes.toString('latin1', textStart, textEnd)
    this.#arrived(textEnd - textStart)
    return textEnd + template.suffix.length
  }

  #parse(bytes: Buffer): void {
    try {
      this.#reader.push(bytes, (event) => this.#take(event))
    } catch (error) {
      this.#fail('malformed', error instanceof Error ? error.message : String(error))
    }
  }

  /** A whole JSON answer that arrived at `nowMs`. */
  takeBody(body: string, nowMs: number): void {
    this.#nowMs = nowMs
    this.firstEventMs = nowMs
    // Embeddings and rerank answer without choices.
    this.#takeJson(body, (value) =>
      isList(value, 'data') || isList(value, 'results') ? undefined : readAnswerFailure(value),
    )
    this.done = true
  }

  #take(event: SseEvent): void {
    if (this.problem !== undefined) return
    this.firstEventMs ??= this.#nowMs
    if (event.data === '[DONE]') this.done = true
    else {
      const before = this.chunks
      this.#takeJson(event.data, (value) => readEventFailure(value, event.event))
      // Only what said a text and nothing else can be a template; a server whose events never repeat is left alone.
      if (this.chunks === before + 1 && event.event === undefined && this.#misses < maxTemplateMisses) {
        this.#misses += 1
        this.#template = learnTemplate(event.data, plainText)
      }
    }
  }

  #takeJson(json: string, readFailure: (value: unknown) => UpstreamFailure | undefined): void {
    let chunk: WireChunk | null
    try {
      chunk = JSON.parse(json) as WireChunk | null
    } catch {
      return this.#fail('malformed', `not JSON: ${json}`)
    }
    if (typeof chunk !== 'object' || chunk === null) return this.#fail('malformed', `no object: ${json}`)
    const failure = readFailure(chunk)
    if (failure !== undefined) {
      return this.#fail('errorEvent', failure.message ?? failure.code ?? 'an error without words')
    }
    if (chunk.usage !== undefined && chunk.usage !== null) this.#takeUsage(chunk.usage)
    if (chunk.choices !== undefined && chunk.choices !== null) this.#takeChoices(chunk.choices)
    else if (Array.isArray(chunk.data)) this.#arrived(0)
  }

  #takeChoices(choices: readonly WireChoice[]): void {
    if (!Array.isArray(choices)) return this.#fail('malformed', 'choices is no list')
    for (const choice of choices as readonly WireChoice[]) {
      const text = outputText(choice)
      if (text !== '') {
        if (this.#keepText) this.text += text
        this.#arrived(text.length)
      }
      if (typeof choice?.finish_reason === 'string') this.finishReason = choice.finish_reason
    }
  }

  #arrived(chars: number): void {
    if (this.chunks === this.#timesMs.length) {
      const grown = new Float64Array(2 * this.chunks)
      grown.set(this.#timesMs)
      this.#timesMs = grown
    }
    this.#timesMs[this.chunks] = this.#nowMs
    this.chunks += 1
    this.outputChars += chars
    const running = this.usage?.completionTokens
    if (running !== undefined) this.tokensAfter[this.chunks - 1] = running
  }

  #takeUsage(usage: NonNullable<WireChunk['usage']>): void {
    this.usage = {
      promptTokens: countOf(usage.prompt_tokens),
      completionTokens: completionTokensOf(usage),
      cachedTokens: countOf(usage.prompt_tokens_details?.cached_tokens),
    }
  }

  #fail(kind: 'malformed' | 'errorEvent', message: string): void {
    this.problem ??= { kind, message }
  }
}

/** Ends an event in every stream but those with CR in their line ends, which are parsed event by event as they come. */
const blankLine = '\n\n'

/** The text of an event that says a piece of text and nothing else; undefined for any other. */
function plainText(json: string): string | undefined {
  try {
    const { choices, usage, error } = JSON.parse(json) as WireChunk
    const [choice, ...others] = Array.isArray(choices) ? (choices as readonly WireChoice[]) : []
    if (choice === undefined || others.length > 0 || (usage ?? error ?? choice.finish_reason ?? null) !== null)
      return undefined
    return outputText(choice)
  } catch {
    return undefined
  }
}

/** A count of tokens as a server may report it; anything else is unknown. */
function countOf(value: unknown): number | undefined {
  return typeof value === 'number' && Number.isFinite(value) && value >= 0 ? value : undefined
}

function isList(value: unknown, key: string): boolean {
  return typeof value === 'object' && value !== null && Array.isArray((value as Record<string, unknown>)[key])
}
