import { randomInt } from 'node:crypto'
import {
  Channel,
  limitError,
  onAbort,
  systemClock,
  throwIfAborted,
  TokenmillError,
  type Clock,
} from '../../core/index.ts'
import {
  allExtensions,
  type EmbeddingRequest,
  type EmbeddingResult,
  type Engine,
  type EngineModel,
  type EngineStatus,
  type GenerationEvent,
  type GenerationRequest,
  type RareSamplers,
  type RerankRequest,
  type RerankResult,
  type TokenizeInput,
} from '../../inference/index.ts'
import {
  checkLoraAdapter,
  openChatSource,
  readGgufMetadata,
  type ChatFormatSource,
  type GgufMetadata,
  type ModelPurpose,
} from '../../model/index.ts'
import { createAnswerReader, type AnswerReader } from './answer-reader.ts'
import { checkHeader, toLoadSpec, type EmbeddedEngineConfig } from './engine-config.ts'
import { embedInPortions, rankInPortions } from './embedding.ts'
import { fingerprintOf } from './fingerprint.ts'
import { EngineProcess } from './engine-process.ts'
import type {
  CallValue,
  EmbeddingReply,
  FromChild,
  JobRequest,
  LoopEvent,
  LoopStatus,
  PromptInput,
  RankReply,
  ToChild,
} from '../messages.ts'
import type { CompiledConstraint, PromptLimit } from '../preparation-tasks.ts'
import { checkPromptSize } from '../prompt-size.ts'
import { RequestPreparer } from './request-preparer.ts'
import { SilenceWatch } from './silence-watch.ts'

/**
 * The engine in a child process, seen from the server. It owns the process and the queue of every request in flight;
 * a request's queue ends with its last event, with its cancellation, or with the process.
 */
export class EmbeddedEngine implements Engine {
  readonly endpoint: string
  readonly fingerprint: string
  readonly extensions = allExtensions
  readonly loadsModel = true
  readonly #config: EmbeddedEngineConfig
  readonly #clock: Clock
  readonly #process: EngineProcess
  readonly #metadata: GgufMetadata
  readonly #preparer: RequestPreparer
  readonly #requests = new Map<number, Channel<LoopEvent>>()
  readonly #calls = new Map<number, PromiseWithResolvers<CallValue>>()
  #keys = 0
  #status: LoopStatus = idle
  /** Totals of processes that are gone. */
  #past: LoopStatus = idle
  #cancelIdleUnload: (() => void) | undefined
  readonly #watch: SilenceWatch

  /** Throws `startup` for a file whose header cannot be read, and for an adapter of another model. Loading begins with `ready` or the first request. */
  constructor(config: EmbeddedEngineConfig, clock: Clock = systemClock) {
    this.endpoint = `embedded:${config.modelName}`
    this.#config = config
    this.#clock = clock
    this.#metadata = readGgufMetadata(config.modelPath)
    checkHeader(this.#metadata)
    for (const adapter of config.adapters) checkLoraAdapter(adapter.path, this.#metadata)
    this.fingerprint = fingerprintOf(config)
    const { chatTemplate } = config.options
    const { chat } = this.#metadata
    const source = chatTemplate === undefined ? chat : withTemplate(chat, chatTemplate)
    this.#preparer = new RequestPreparer(source, config.options, clock)
    this.#process = new EngineProcess(
      toLoadSpec(config, this.#metadata.purpose),
      { onMessage: (message) => this.#receive(message), onDown: (error) => this.#down(error) },
      clock,
    )
    const { maxSilenceMs } = config.options
    const reason = `answered nothing for ${maxSilenceMs} ms and was ended`
    this.#watch = new SilenceWatch(
      maxSilenceMs,
      clock,
      () => this.#hasWork,
      () => this.#process.kill(reason),
    )
  }

  models(): readonly EngineModel[] {
    const { modelName, modelPath, adapters } = this.#config
    const contextTokens = this.#process.model?.contextTokens ?? this.#metadata.contextTokens
    return [
      { name: modelName, parent: undefined, contextTokens, root: modelPath },
      ...adapters.map(({ name, path }) => ({ name, parent: modelName, contextTokens, root: path })),
    ]
  }

  status(): EngineStatus {
    const { running, waiting, kvCells } = this.#status
    const cells = this.#process.model?.cells
    return {
      state: this.#process.state,
      loadProgress: this.#process.progress,
      running,
      waiting,
      kvCacheUsage: cells === undefined || cells === 0 ? undefined : kvCells / cells,
      prefixCache: {
        queries: this.#past.prefixQueries + this.#status.prefixQueries,
        hits: this.#past.prefixHits + this.#status.prefixHits,
      },
      preemptions: this.#past.preemptions + this.#status.preemptions,
      maxRunning: this.#config.options.slots,
      kvCells: cells,
    }
  }

  async ready(signal: AbortSignal): Promise<void> {
    if (this.#metadata.purpose === 'generate') this.#preparer.warm()
    await this.#process.acquire(signal)
    this.#unloadWhenIdle()
  }

  async *generate(request: GenerationRequest, signal: AbortSignal): AsyncGenerator<GenerationEvent, void> {
    throwIfAborted(signal)
    const adapter = this.#adapterOf(request.model)
    this.#requirePurpose('generate', 'generates no text', purposes[this.#metadata.purpose])
    // A prompt that is to be cut may be of any length.
    const cut = request.truncatePromptTokens !== undefined
    const { rendered, constraint } = await this.#preparer.prepare(request, cut ? undefined : this.#promptLimit, signal)
    const reader = createAnswerReader(request, rendered)
    const job = this.#toJob(request, adapter, reader, constraint)
    const prompt = toPromptInput(request, reader)
    await this.#process.acquire(signal)
    const limit = this.#promptLimit
    if (prompt.kind === 'text' && !cut && limit !== undefined) checkPromptSize(prompt.text, limit)
    const queue = this.#open(job.key)
    const stopListening = onAbort(signal, (error) => queue.fail(error))
    this.#watch.heard()
    this.#process.send({ type: 'submit', job, input: prompt })
    let ended = false
    try {
      for await (const event of queue) {
        if (event.type === 'failed') {
          ended = true
          throw new TokenmillError(event.code, event.message, event.details)
        }
        ended = event.type === 'finished' && event.last
        yield* reader.read(event, constraint?.unenforced)
        if (ended) return
      }
    } finally {
      stopListening()
      if (!ended) this.#process.send({ type: 'cancel', key: job.key })
      this.#close(job.key)
    }
  }

  async tokenize(model: string, input: TokenizeInput, signal: AbortSignal): Promise<readonly number[]> {
    this.#adapterOf(model)
    const rendered = input.kind === 'chat' ? await this.#preparer.render(input.chat, signal) : undefined
    const text = input.kind === 'text' ? input.text : (rendered?.prompt ?? '')
    this.#checkTokenizeBytes(Buffer.byteLength(text), 'prompt')
    const addSpecial = input.kind === 'text' ? input.addSpecialTokens : (rendered?.addSpecialTokens ?? true)
    const message = { type: 'tokenize', text, addSpecial, inputRanges: rendered?.inputRanges ?? [] } as const
    return Array.from((await this.#call((call) => ({ ...message, call }), signal)) as Int32Array)
  }

  async detokenize(model: string, tokens: readonly number[], signal: AbortSignal): Promise<string> {
    this.#adapterOf(model)
    this.#checkTokenizeBytes(tokens.length * Int32Array.BYTES_PER_ELEMENT, 'tokens')
    return (await this.#call((call) => ({ type: 'detokenize', call, tokens }), signal)) as string
  }

  async embed(request: EmbeddingRequest, signal: AbortSignal): Promise<EmbeddingResult> {
    const adapter = this.#adapterOf(request.model)
    if (this.#metadata.purpose === 'rank') this.#requirePurpose('embed', 'gives no embeddings', purposes.rank)
    return await embedInPortions(request, async (inputs) => {
      const reply = await this.#call((call) => ({ type: 'embed', call, adapter, inputs }), signal)
      return reply as EmbeddingReply
    })
  }

  async rerank(request: RerankRequest, signal: AbortSignal): Promise<RerankResult> {
    const adapter = this.#adapterOf(request.model)
    const remedy = 'Serve a reranker, such as a GGUF of bge-reranker-v2-m3 or Qwen3-Reranker, and ask that.'
    this.#requirePurpose('rank', 'is no reranker', remedy)
    const { query } = request
    return await rankInPortions(request, async (documents) => {
      const reply = await this.#call((call) => ({ type: 'rank', call, adapter, query, documents }), signal)
      return reply as RankReply
    })
  }

  async close(): Promise<void> {
    this.#cancelIdleUnload?.()
    this.#watch.close()
    const error = new TokenmillError('cancelled', 'The engine is closed.')
    for (const queue of this.#requests.values()) queue.fail(error)
    for (const call of this.#calls.values()) call.reject(error)
    this.#calls.clear()
    await Promise.all([this.#process.close(), this.#preparer.close()])
  }

  #toJob(
    request: GenerationRequest,
    adapter: number,
    reader: AnswerReader,
    constraint: CompiledConstraint | undefined,
  ): JobRequest {
    const { sampling } = request
    const grammar = constraint && { gbnf: constraint.gbnf, root: constraint.root, trigger: constraint.trigger }
    return {
      key: (this.#keys += 1),
      adapter,
      n: request.n,
      maxTokens: request.maxTokens,
      stop: request.stop,
      quiet: reader.quiet,
      // A grammar that is complete allows nothing but the end.
      ignoreEos: request.ignoreEos && grammar === undefined,
      minTokens: request.minTokens ?? 0,
      stopTokens: request.stopTokens ?? [],
      logprobs: request.logprobs,
      promptLogprobs: request.promptLogprobs,
      deadlineMs: request.deadlineMs,
      shownTexts: reader.shownTexts,
      turnEndTexts: reader.stop,
      truncatePromptTokens: request.truncatePromptTokens,
      sampling: {
        ...sampling,
        ...rareSamplersOf(request),
        logitBias: [...sampling.logitBias],
        seed: (sampling.seed ?? randomInt(2 ** 32 - 1)) >>> 0,
        grammar,
      },
    }
  }

  /** Undefined until a model was loaded. */
  get #promptLimit(): PromptLimit | undefined {
    return this.#process.model
  }

  #checkTokenizeBytes(bytes: number, param: string): void {
    const { maxTokenizeBytes } = this.#config.options
    if (bytes <= maxTokenizeBytes) return
    const limit = { name: 'maxTokenizeBytes', maximum: maxTokenizeBytes, unit: 'bytes' }
    const { code, message, details } = limitError(limit, bytes, `'${param}'`, 'Send it in parts.')
    throw new TokenmillError(code, message, { ...details, param })
  }

  /** Throws `unsupported` where the model is made for something else. */
  #requirePurpose(purpose: ModelPurpose, lack: string, remedy: string): void {
    if (this.#metadata.purpose === purpose) return
    const message = `The model '${this.#config.modelName}' ${lack}. ${remedy}`
    throw new TokenmillError('unsupported', message, { param: 'model' })
  }

  /** The number of the adapter that the name stands for; 0 for the model itself. Throws `model_not_found`. */
  #adapterOf(model: string): number {
    const available = this.models().map(({ name }) => name)
    const found = available.indexOf(model)
    if (found >= 0) return found
    const list = available.map((name) => `'${name}'`).join(', ')
    throw new TokenmillError('model_not_found', `This engine serves ${list}, not '${model}'.`, { available })
  }

  #open(key: number): Channel<LoopEvent> {
    const { maxEngineRequests } = this.#config.options
    if (this.#requests.size >= maxEngineRequests) {
      const limit = { name: 'maxEngineRequests', maximum: maxEngineRequests, unit: 'requests' }
      const { message, details } = limitError(limit, this.#requests.size + 1, "The engine's load", 'Try again later.')
      throw new TokenmillError('queue_full', message, { ...details, retryAfterMs: 1000 })
    }
    this.#cancelIdleUnload?.()
    // What one request can generate is bounded by its context: that is the most that waits for a slow reader.
    const queue = new Channel<LoopEvent>(Infinity)
    this.#requests.set(key, queue)
    return queue
  }

  #close(key: number): void {
    this.#requests.delete(key)
    this.#unloadWhenIdle()
  }

  get #hasWork(): boolean {
    return this.#requests.size + this.#calls.size > 0
  }

  #unloadWhenIdle(): void {
    const { idleUnloadMs } = this.#config.options
    this.#cancelIdleUnload?.()
    if (this.#hasWork || idleUnloadMs === undefined) return
    this.#cancelIdleUnload = this.#clock.schedule(idleUnloadMs, () => this.#process.unload())
  }

  #receive(message: FromChild): void {
    this.#watch.heard()
    if (message.type === 'step') {
      this.#status = message.status
      for (const event of message.events) this.#requests.get(event.key)?.push(event)
    } else if (message.type === 'reply') {
      this.#calls.get(message.call)?.resolve(message.value)
    } else if (message.type === 'replyFailed') {
      this.#calls.get(message.call)?.reject(new TokenmillError(message.code, message.message, message.details))
    }
  }

  #down(error: TokenmillError): void {
    this.#past = addTotals(this.#past, this.#status)
    this.#status = idle
    for (const queue of this.#requests.values()) queue.fail(error)
    for (const call of this.#calls.values()) call.reject(error)
  }

  async #call(toMessage: (call: number) => ToChild, signal: AbortSignal): Promise<CallValue> {
    await this.#process.acquire(signal)
    this.#cancelIdleUnload?.()
    const call = (this.#keys += 1)
    const reply = Promise.withResolvers<CallValue>()
    this.#calls.set(call, reply)
    const stopListening = onAbort(signal, (error) => {
      reply.reject(error)
      this.#process.send({ type: 'cancel', key: call })
    })
    this.#watch.heard()
    this.#process.send(toMessage(call))
    try {
      return await reply.promise
    } finally {
      stopListening()
      this.#calls.delete(call)
      this.#unloadWhenIdle()
    }
  }
}

/** What to ask of a model that does not do what was asked. */
const purposes: Readonly<Record<ModelPurpose, string>> = {
  generate: 'Ask /v1/chat/completions.',
  embed: 'It is made for embeddings: ask /v1/embeddings.',
  rank: 'It ranks documents: ask /v1/rerank.',
  adapt: 'Serve the model that it changes.',
}

function rareSamplersOf({ typicalP, repetitionWindow, xtc, dry, mirostat }: GenerationRequest): RareSamplers {
  return {
    ...(typicalP !== undefined && { typicalP }),
    ...(repetitionWindow !== undefined && { repetitionWindow }),
    ...(xtc !== undefined && { xtc }),
    ...(dry !== undefined && { dry }),
    ...(mirostat !== undefined && { mirostat }),
  }
}

/** The template that was asked for; the special tokens are the model file's, where it names them. */
function withTemplate(chat: ChatFormatSource, nameOrFile: string): ChatFormatSource {
  const opened = openChatSource(nameOrFile)
  return { ...opened, bosToken: chat.bosToken ?? opened.bosToken, eosToken: chat.eosToken ?? opened.eosToken }
}

const idle: LoopStatus = {
  running: 0,
  waiting: 0,
  kvCells: 0,
  prefixQueries: 0,
  prefixHits: 0,
  preemptions: 0,
  steps: 0,
}

function addTotals(one: LoopStatus, other: LoopStatus): LoopStatus {
  return {
    ...idle,
    prefixQueries: one.prefixQueries + other.prefixQueries,
    prefixHits: one.prefixHits + other.prefixHits,
    preemptions: one.preemptions + other.preemptions,
  }
}

function toPromptInput({ input }: GenerationRequest, reader: AnswerReader): PromptInput {
  if (input.kind === 'tokens') return input
  if (input.kind === 'text') return { kind: 'text', text: input.text, addSpecial: true, inputRanges: [] }
  const { prompt, addSpecialTokens, inputRanges } = reader
  return { kind: 'text', text: prompt, addSpecial: addSpecialTokens, inputRanges }
}
