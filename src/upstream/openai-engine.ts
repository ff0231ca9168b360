import {
  Channel,
  type Clock,
  systemClock,
  throwIfAborted,
  TokenmillError,
  toTokenmillError,
  linkedController,
} from '../core/index.ts'
import type {
  EmbeddingRequest,
  EmbeddingResult,
  Engine,
  EngineModel,
  EngineStatus,
  GenerationEvent,
  GenerationRequest,
  RelayOperation,
  RelayRequest,
  RelaySink,
  RequestExtension,
  RerankRequest,
  RerankResult,
  TokenizeInput,
} from '../inference/index.ts'
import { endpointError, SseReader, upstreamError } from '../protocol/index.ts'
import { StreamDecoder } from './decode-stream.ts'
import { startDeadline } from './deadline.ts'
import type { Dialect } from './dialect.ts'
import { noExtensions } from './dialects/extras.ts'
import { dialects } from './dialects/index.ts'
import { encodeGeneration, encodeRenderedChat } from './encode-request.ts'
import { EndpointWatch, type EndpointHost } from './endpoint-watch.ts'
import { OpenAiProbe } from './openai-probe.ts'
import type { EndpointSettings } from './endpoint.ts'
import { EndpointHttp } from './http.ts'
import { providers } from './providers.ts'
import { BodyAdapter } from './request-fields.ts'
import { PacedSink, StreamPace } from './stream-pace.ts'
import { readEmbeddings, readScores, readText, readTokens } from './read-answer.ts'

/** Events held between the upstream and a slow reader before the upstream is paused. */
const eventHighWater = 64

/**
 * An engine behind OpenAI's HTTP API. Watches its endpoint from the start; speaks only the paths of its dialect.
 * Owns its connections: `close` ends them, and with them everything that runs.
 */
export class OpenAiEngine implements Engine {
  readonly endpoint: string
  readonly #settings: EndpointSettings
  readonly #clock: Clock
  readonly #http: EndpointHttp
  readonly #probe: OpenAiProbe
  readonly #watch: EndpointWatch
  /** Of the kind that was found last. */
  #adapter: BodyAdapter | undefined
  readonly #pace = new StreamPace()
  #closed = false
  #running = 0

  constructor(settings: EndpointSettings, host: EndpointHost = {}) {
    const clock = host.clock ?? systemClock
    this.#settings = settings
    this.#clock = clock
    this.#http = new EndpointHttp(settings, clock)
    this.endpoint = this.#http.name
    const dialect = settings.engine === 'auto' ? undefined : dialects[settings.engine]
    this.#probe = new OpenAiProbe(this.#http, { dialect, model: settings.model }, settings.limits, clock)
    this.#watch = new EndpointWatch(this.#probe, settings.limits, host)
    this.#watch.start()
  }

  /** The kind of engine found there; undefined until it has answered. */
  get kind(): Dialect['kind'] | undefined {
    return this.#probe.dialect?.kind
  }

  /** Those of the kind of engine that was found there; none until it has answered. */
  get extensions(): ReadonlySet<RequestExtension> {
    return this.#probe.dialect?.extensions ?? noExtensions
  }

  models(): readonly EngineModel[] {
    const { model } = this.#settings
    if (model === undefined) return this.#probe.models
    const listed = this.#probe.models.find((entry) => entry.name === model)
    return [listed ?? { name: model, parent: undefined, contextTokens: undefined, root: model }]
  }

  status(): EngineStatus {
    const { load, loadAgeMs } = this.#probe
    return {
      state: this.#closed ? 'closed' : this.#watch.state,
      reason: this.#watch.lastError?.message,
      loadProgress: this.#watch.state === 'loading' ? 0 : 1,
      running: load.running ?? this.#running,
      waiting: load.waiting ?? 0,
      kvCacheUsage: load.kvCacheUsage,
      prefixCache: load.prefixCache,
      preemptions: load.preemptions,
      ageMs: loadAgeMs,
    }
  }

  ready(signal: AbortSignal): Promise<void> {
    return this.#watch.ready(signal)
  }

  relays(operation: RelayOperation): boolean {
    return this.#probe.dialect?.paths[operation] !== undefined
  }

  async relay(request: RelayRequest, sink: RelaySink, signal: AbortSignal): Promise<void> {
    const dialect = this.#dialect()
    const path = this.#path(dialect, request.operation)
    const headers: Record<string, string> = { 'x-request-id': request.id }
    if (request.traceParent !== undefined) headers['traceparent'] = request.traceParent
    const body = this.#withPriority(request, this.#adapted(request, dialect), dialect)
    this.#running += 1
    const { controller, unlink } = linkedController(signal)
    const paced = new PacedSink(sink, this.#pace, {
      clock: this.#clock,
      idleMs: this.#settings.limits.idleMs,
      onFrozen: (limitMs) => {
        const problem = `fell silent within its stream for ${Math.round(limitMs)} ms, 20 times the longest of its usual gaps.`
        controller.abort(endpointError('upstream_timeout', this.endpoint, problem))
      },
    })
    try {
      await this.#http.stream({ method: 'POST', path, body, headers }, paced, controller.signal)
    } catch (error) {
      throw this.#explain(toTokenmillError(error), request.operation)
    } finally {
      paced.stop()
      unlink()
      this.#running -= 1
    }
  }

  /** A 404 of the chats' own path is a wrong address; any other may be that of a model which is no longer there. */
  #explain(error: TokenmillError, operation: RelayOperation): TokenmillError {
    const { upstreamStatus } = error.details
    if (upstreamStatus !== 404) return error
    this.#probe.relist()
    if (operation !== 'chat' || error.code !== 'unsupported') return error
    const problem = 'has no chats at its address (status 404). Check its url in the configuration.'
    return endpointError('upstream_failed', this.endpoint, problem, { upstreamStatus }, error)
  }

  async *generate(request: GenerationRequest, signal: AbortSignal): AsyncGenerator<GenerationEvent, void, undefined> {
    const dialect = this.#dialect()
    const { operation, body } = encodeGeneration(request, this.#modelName(request.model), dialect)
    const decoder = new StreamDecoder(this.endpoint, request.n)
    const reader = new SseReader({ maxEventBytes: this.#settings.limits.maxSseFrameBytes })
    const channel = new Channel<GenerationEvent>(eventHighWater)
    // Fires when the client leaves, when the reader does, and when the deadline passes.
    const { controller: given, stop } = startDeadline(signal, request.deadlineMs, this.#clock)
    const sink: RelaySink = {
      begin: (_head, flow) => channel.attach(flow),
      data: (chunk) => {
        try {
          reader.push(chunk, (event) => decoder.read(event.data, event.event).forEach((each) => channel.push(each)))
        } catch (error) {
          // An event past the limit is the upstream's fault, not the client's.
          if (!(error instanceof TokenmillError) || error.code !== 'limit_exceeded') throw error
          const details = { ...error.details, endpoint: this.endpoint }
          throw new TokenmillError('upstream_failed', error.message, details, error)
        }
      },
    }
    const relayed: RelayRequest = { id: request.id, operation, body: Buffer.from(JSON.stringify(body)) }
    void this.relay(relayed, sink, given.signal).then(
      () => channel.end(),
      // A stream that dies after its finish reason is whole.
      (error: unknown) => channel.end(decoder.complete && !given.signal.aborted ? undefined : toTokenmillError(error)),
    )
    try {
      for await (const event of channel) {
        yield event
        // Discard events buffered before the abort.
        throwIfAborted(signal)
      }
      yield decoder.end()
    } finally {
      stop()
      given.abort()
    }
  }

  async tokenize(model: string, input: TokenizeInput, signal: AbortSignal): Promise<readonly number[]> {
    const dialect = this.#dialect()
    const tokenizer = dialect.tokenizer ?? this.#lacks('tokenize')
    const path = this.#path(dialect, 'tokenize')
    const name = this.#modelName(model)
    if (input.kind === 'text') {
      return readTokens(
        await this.#post(path, tokenizer.tokenizeText(name, input.text, input.addSpecialTokens), signal),
      )
    }
    const chat = encodeRenderedChat(input.chat, dialect)
    if (tokenizer.chat === 'messages') return readTokens(await this.#post(path, { model: name, ...chat }, signal))
    const text = readText(await this.#post(tokenizer.chat.renderPath, chat, signal), 'prompt')
    return readTokens(await this.#post(path, tokenizer.tokenizeText(name, text, true), signal))
  }

  async detokenize(model: string, tokens: readonly number[], signal: AbortSignal): Promise<string> {
    const dialect = this.#dialect()
    const tokenizer = dialect.tokenizer ?? this.#lacks('detokenize')
    const body = tokenizer.detokenize(this.#modelName(model), tokens)
    return readText(await this.#post(this.#path(dialect, 'detokenize'), body, signal), tokenizer.textField)
  }

  async embed(request: EmbeddingRequest, signal: AbortSignal): Promise<EmbeddingResult> {
    const { inputs, dimensions } = request
    const body = {
      model: this.#modelName(request.model),
      input: inputs,
      encoding_format: 'float',
      ...(dimensions === undefined ? {} : { dimensions }),
    }
    return readEmbeddings(await this.#post(this.#path(this.#dialect(), 'embedding'), body, signal), inputs.length)
  }

  async rerank(request: RerankRequest, signal: AbortSignal): Promise<RerankResult> {
    const { query, documents } = request
    const body = { model: this.#modelName(request.model), query, documents }
    return readScores(await this.#post(this.#path(this.#dialect(), 'rerank'), body, signal), documents.length)
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#watch.stop()
    this.#closed = true
    await this.#http.close()
  }

  /** Posts JSON and gives the parsed answer. Throws the error of an answer outside 2xx. */
  async #post(path: string, value: unknown, signal: AbortSignal): Promise<unknown> {
    const { maxAnswerBytes } = this.#settings.limits
    const call = { method: 'POST', path, body: JSON.stringify(value), maxBytes: maxAnswerBytes } as const
    const answer = await this.#http.fetch(call, signal)
    if (answer.status !== 200) {
      throw upstreamError(this.endpoint, { status: answer.status, body: answer.body.toString() })
    }
    try {
      return JSON.parse(answer.body.toString())
    } catch {
      throw endpointError('upstream_failed', this.endpoint, `answered ${path} with something other than JSON.`)
    }
  }

  #dialect(): Dialect {
    if (this.#closed) throw endpointError('unavailable', this.endpoint, 'was closed.')
    const { dialect } = this.#probe
    const { lastError } = this.#watch
    if (dialect !== undefined) return dialect
    const why = lastError === undefined ? 'it has not answered yet' : lastError.message
    throw endpointError('unavailable', this.endpoint, `is not known to be any engine: ${why}`)
  }

  #path(dialect: Dialect, operation: RelayOperation): string {
    return dialect.paths[operation] ?? this.#lacks(operation)
  }

  #lacks(operation: string): never {
    throw new TokenmillError('unsupported', `The engine of this model (${this.kind ?? 'unknown'}) has no ${operation}.`)
  }

  /** The name, if it is one of those that `models` tells; any name at an endpoint that lists none. */
  #modelName(asked: string): string {
    const available = this.models().map(({ name }) => name)
    if (available.length === 0 || available.includes(asked)) return asked
    const message = `The model '${asked}' is not served. Served: ${available.join(', ')}.`
    throw new TokenmillError('model_not_found', message, { param: 'model', available })
  }

  /** The body with fields that this engine has under other names; refuses those that it would drop. */
  #adapted({ body, operation }: RelayRequest, dialect: Dialect): Buffer {
    const bytes = Buffer.from(body.buffer, body.byteOffset, body.byteLength)
    const { provider } = this.#settings
    if (this.#adapter?.kind !== dialect.kind) {
      this.#adapter = new BodyAdapter(dialect.kind, provider === undefined ? [] : providers[provider].refuses)
    }
    return this.#adapter.adapt(bytes, operation)
  }

  #withPriority(request: RelayRequest, bytes: Buffer, dialect: Dialect): Uint8Array {
    if (request.priority === undefined || request.priority === 0) return bytes
    if (!this.#settings.priority || dialect.priorityOrder === undefined) return bytes
    const value = dialect.priorityOrder === 'lowerFirst' ? request.priority : -request.priority
    const opening = bytes.indexOf(0x7b) + 1
    return Buffer.concat([bytes.subarray(0, opening), Buffer.from(`"priority":${value},`), bytes.subarray(opening)])
  }
}
