import { TokenmillError } from '../../src/core/index.ts'
import {
  textOf,
  type Engine,
  type EngineStatus,
  type FinishReason,
  type GenerationEvent,
  type GenerationRequest,
  type TokenizeInput,
} from '../../src/inference/index.ts'

/** What a scripted engine does with one request. Waits end with the request's signal, as an engine's must. */
export interface Script {
  /** Texts of the answer, one event each; the default counts up: "w0 ", "w1 ", … as many as maxTokens, or 4. */
  readonly texts?: readonly string[]
  /** Events in place of texts, for what texts cannot say. */
  readonly events?: readonly GenerationEvent[]
  readonly finish?: FinishReason
  /** Awaited before the prompt counts as prefilled. */
  readonly beforePrefill?: Promise<unknown>
  /** Awaited before each token: its number is given. */
  readonly beforeToken?: (token: number) => Promise<unknown> | undefined
  /** Thrown in place of the token with this number; 0 is the first. */
  readonly failAt?: { readonly token: number; readonly error: Error }
}

const contextTokens = 4096

/** One token for each of these. */
const pieces = /\s*\S+|\s+/g

/**
 * An Engine without a model: deterministic tokens, and delays and failures on demand. For tests of what stands in
 * front of an engine, where every step has to happen when the test says so.
 */
export class ScriptedEngine implements Engine {
  readonly endpoint: string
  /** Requests as they arrived. */
  readonly requests: GenerationRequest[] = []
  /** Requests that left their loop before its end. */
  cancelled = 0
  running = 0
  /** Most that ran at once. */
  peak = 0
  state: EngineStatus['state'] = 'ready'
  readonly #name: string
  readonly #script: (request: GenerationRequest) => Script
  readonly #maxRunning: number | undefined

  constructor(name = 'scripted', script: (request: GenerationRequest) => Script = () => ({}), maxRunning?: number) {
    this.endpoint = `scripted:${name}`
    this.#name = name
    this.#script = script
    this.#maxRunning = maxRunning
  }

  models() {
    return [{ name: this.#name, parent: undefined, contextTokens, root: `/models/${this.#name}.gguf` }]
  }

  status(): EngineStatus {
    return {
      state: this.state,
      loadProgress: 1,
      running: this.running,
      waiting: 0,
      kvCacheUsage: this.running / 16,
      prefixCache: { queries: 100, hits: 40 },
      preemptions: 0,
      maxRunning: this.#maxRunning,
      kvCells: 4096,
    }
  }

  ready(): Promise<void> {
    return Promise.resolve()
  }

  async *generate(request: GenerationRequest, signal: AbortSignal): AsyncGenerator<GenerationEvent> {
    this.requests.push(request)
    this.running += 1
    this.peak = Math.max(this.peak, this.running)
    let complete = false
    try {
      signal.throwIfAborted()
      yield* this.#events(request, signal)
      complete = true
    } finally {
      this.running -= 1
      if (!complete) this.cancelled += 1
    }
  }

  tokenize(_model: string, input: TokenizeInput): Promise<readonly number[]> {
    const text =
      input.kind === 'text' ? input.text : input.chat.messages.map(({ content }) => textOf(content)).join(' ')
    return Promise.resolve((text.match(pieces) ?? []).map((piece) => piece.length))
  }

  detokenize(_model: string, tokens: readonly number[]): Promise<string> {
    return Promise.resolve(tokens.map((token) => `<${token}>`).join(''))
  }

  close(): Promise<void> {
    this.state = 'closed'
    return Promise.resolve()
  }

  async *#events(request: GenerationRequest, signal: AbortSignal): AsyncGenerator<GenerationEvent> {
    const script = this.#script(request)
    // As any engine, it ends with its context: fuzzed requests ask for thousands of millions.
    const maxTokens = request.maxTokens === undefined ? undefined : Math.min(request.maxTokens, contextTokens)
    const texts = script.texts ?? Array.from({ length: maxTokens ?? 4 }, (_, token) => `w${token} `)
    const promptTokens = promptText(request).match(pieces)?.length ?? 0
    if (script.beforePrefill !== undefined) await waited(script.beforePrefill, signal)
    if (script.events !== undefined) {
      yield* script.events
      return
    }
    yield { type: 'prefilled', promptTokens, cachedTokens: 0 }
    let completionTokens = 0
    for (const [token, text] of texts.entries()) {
      const before = script.beforeToken?.(token)
      if (before !== undefined) await waited(before, signal)
      signal.throwIfAborted()
      if (script.failAt?.token === token) throw script.failAt.error
      for (let index = 0; index < request.n; index += 1) {
        completionTokens += 1
        yield { type: 'text', index, text, tokens: 1 }
      }
    }
    const reason = script.finish ?? (maxTokens === texts.length ? 'length' : 'stop')
    for (let index = 0; index < request.n; index += 1) yield { type: 'finished', index, reason }
    yield { type: 'usage', usage: { promptTokens, cachedTokens: 0, completionTokens, reasoningTokens: undefined } }
  }
}

function promptText({ input }: GenerationRequest): string {
  if (input.kind === 'text') return input.text
  if (input.kind === 'tokens') return input.tokens.join(' ')
  return input.chat.messages.map(({ content }) => textOf(content)).join(' ')
}

/** The promise, or the signal's abort as `cancelled`, whichever comes first. */
async function waited(promise: Promise<unknown>, signal: AbortSignal): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const aborted = () => reject(new TokenmillError('cancelled', 'The request was cancelled by its client.'))
    if (signal.aborted) aborted()
    signal.addEventListener('abort', aborted, { once: true })
    promise.then(() => resolve(), reject).finally(() => signal.removeEventListener('abort', aborted))
  })
}
