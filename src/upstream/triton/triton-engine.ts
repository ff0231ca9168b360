import { randomInt } from 'node:crypto'
import {
  Channel,
  type Clock,
  linkedController,
  systemClock,
  throwIfAborted,
  TokenmillError,
  toTokenmillError,
} from '../../core/index.ts'
import type {
  ChatInput,
  Engine,
  EngineModel,
  EngineStatus,
  GenerationEvent,
  GenerationRequest,
  RelayFlow,
  RequestExtension,
} from '../../inference/index.ts'
import {
  createChatFormat,
  readChatSource,
  type ChatFormat,
  type ChatFormatSource,
  type RenderedChat,
} from '../../model/index.ts'
import { EndpointWatch, type EndpointHost } from '../endpoint-watch.ts'
import { endpointError } from '../../protocol/index.ts'
import type { EndpointSettings } from '../endpoint.ts'
import type { TritonAsk } from './dialect.ts'
import { DeferredTransport } from './deferred-transport.ts'
import { TritonGeneration, TritonUsage } from './generation.ts'
import { HttpTransport } from './http-transport.ts'
import { TritonProbe, type ServedModel } from './triton-probe.ts'
import type { TritonSettings } from './settings.ts'
import type { TritonTransport } from './transport.ts'

/** Events held between the upstream and a slow reader before the upstream is paused. */
const eventHighWater = 64

/** TensorRT-LLM must be told a length, and does not tell how much room there is. */
const defaultMaxTokens = 1024

/**
 * Models of a Triton server that generate text. Chats are rendered and read here, since such models take text and
 * give text; n continuations are n requests with n seeds. Owns its connections.
 */
export class TritonEngine implements Engine {
  readonly endpoint: string
  readonly #settings: TritonSettings
  readonly #clock: Clock
  readonly #transport: TritonTransport
  readonly #probe: TritonProbe
  readonly #watch: EndpointWatch
  readonly #chatSource: ChatFormatSource | undefined
  readonly #chatFormat: ChatFormat | undefined
  #running = 0
  #closed = false

  /** Throws `startup` for a chat template that cannot be read. */
  constructor(settings: TritonSettings, host: EndpointHost = {}) {
    const clock = host.clock ?? systemClock
    this.#settings = settings
    this.#clock = clock
    if (settings.chatTemplate !== undefined) {
      this.#chatSource = readChatSource(settings.chatTemplate)
      this.#chatFormat = createChatFormat(this.#chatSource, clock)
    }
    const endpoint = { ...settings, engine: 'auto' as const }
    this.#transport = settings.url.startsWith('grpc') ? openGrpc(endpoint, clock) : new HttpTransport(endpoint, clock)
    this.endpoint = this.#transport.name
    this.#probe = new TritonProbe(this.#transport, settings, clock)
    this.#watch = new EndpointWatch(this.#probe, settings.limits, host)
    this.#watch.start()
  }

  /** Those that any model there takes; a model that does not refuses by name. */
  get extensions(): ReadonlySet<RequestExtension> {
    return new Set([...this.#probe.served.values()].flatMap(({ model, dialect }) => dialect.extensions(model)))
  }

  models(): readonly EngineModel[] {
    const { model } = this.#settings
    const names = this.#probe.served.size === 0 && model !== undefined ? [model] : [...this.#probe.served.keys()]
    return names.map((name) => ({ name, parent: undefined, contextTokens: undefined, root: name }))
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

  async *generate(request: GenerationRequest, signal: AbortSignal): AsyncGenerator<GenerationEvent, void, undefined> {
    throwIfAborted(signal)
    const { model, dialect } = this.#served(request.model)
    const chat = request.input.kind === 'chat' ? this.#render(request.input.chat) : undefined
    const ask: TritonAsk = {
      request,
      model,
      prompt: chat?.prompt ?? this.#promptOf(request),
      maxTokens: request.maxTokens ?? defaultMaxTokens,
      seed: 0,
      stop: [...request.stop, ...(chat?.stop ?? [])],
      showSpecialTokens: chat?.showSpecialTokens ?? false,
    }
    const firstSeed = request.sampling.seed ?? randomInt(2 ** 47)
    const usage = new TritonUsage(ask.prompt)
    const channel = new Channel<GenerationEvent>(eventHighWater)
    const flows: RelayFlow[] = []
    channel.attach({
      pause: () => flows.forEach((flow) => flow.pause()),
      resume: () => flows.forEach((flow) => flow.resume()),
    })
    // Fires when the client or the reader leaves: one continuation that fails makes the reader leave.
    const { controller: given, unlink } = linkedController(signal)
    const one = async (index: number): Promise<void> => {
      const asked = { ...ask, seed: (firstSeed + index) % 2 ** 48 }
      const inputs = dialect.encode(asked)
      const generation = new TritonGeneration(this.endpoint, index, asked, dialect, usage, chat?.parsed)
      const { controller: ended, unlink: unlinkEnded } = linkedController(given.signal)
      const sink = {
        begin: (flow: RelayFlow) => void flows.push(flow),
        outputs: (tensors: Parameters<typeof generation.read>[0]) => {
          for (const event of generation.read(tensors)) channel.push(event)
          // A stop text that the server did not know as one: what it generates from here on is nobody's.
          if (generation.finished) ended.abort()
        },
      }
      const call = { model, id: request.id, inputs, deadlineMs: request.deadlineMs }
      await this.#transport
        .infer(call, sink, ended.signal)
        .catch((error: unknown) => {
          if (!generation.finished) throw error
        })
        .finally(unlinkEnded)
      for (const event of generation.end()) channel.push(event)
    }
    this.#running += 1
    const work = Promise.all(Array.from({ length: request.n }, (_, index) => one(index)))
    void work.then(
      () => channel.end(),
      (error: unknown) => channel.end(toTokenmillError(error)),
    )
    try {
      for await (const event of channel) {
        yield event
        // Discard events buffered before the abort.
        throwIfAborted(signal)
      }
      yield usage.event()
    } finally {
      unlink()
      given.abort()
      this.#running -= 1
    }
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    this.#watch.stop()
    const { repository, model, limits } = this.#settings
    if (repository === 'own' && model !== undefined && this.#probe.loadedHere) {
      const late = new AbortController()
      const cancel = this.#clock.schedule(limits.probeTimeoutMs, () => late.abort())
      await this.#transport.unload(model, late.signal).catch(() => undefined)
      cancel()
    }
    await this.#probe.close()
    await this.#transport.close()
  }

  #served(name: string): ServedModel {
    if (this.#closed) throw endpointError('unavailable', this.endpoint, 'was closed.')
    const { served } = this.#probe
    const found = served.get(name)
    if (found !== undefined) return found
    if (served.size === 0) {
      const why = this.#watch.lastError?.message ?? 'it has not answered yet'
      throw endpointError('unavailable', this.endpoint, `cannot serve: ${why}`)
    }
    const available = [...served.keys()]
    const message = `The endpoint ${this.endpoint} does not serve '${name}'. Served: ${available.join(', ')}.`
    throw new TokenmillError('model_not_found', message, { param: 'model', available })
  }

  #promptOf({ input }: GenerationRequest): string {
    if (input.kind === 'text') return input.text
    const message = `The models at ${this.endpoint} take text, not token ids. Send the prompt as text.`
    throw new TokenmillError('unsupported', message, { param: 'prompt' })
  }

  #render(input: ChatInput) {
    if (this.#chatFormat === undefined || this.#chatSource === undefined) {
      const message = `The models at ${this.endpoint} take text, and no chat template is configured. Set the endpoint's \`chatTemplate\`.`
      throw new TokenmillError('unsupported', message, { param: 'messages' })
    }
    const rendered: RenderedChat = this.#chatFormat.render(input)
    const { bosToken = '', eosToken = '' } = this.#chatSource
    const showSpecialTokens = rendered.specialTexts.length > 0
    return {
      // The server's tokenizer puts its own in front.
      prompt: rendered.addSpecialTokens ? rendered.prompt : rendered.prompt.slice(bosToken.length),
      stop: [...rendered.stop, ...(showSpecialTokens && eosToken !== '' ? [eosToken] : [])],
      showSpecialTokens,
      parsed: { input, answer: rendered.answer },
    }
  }
}

function openGrpc(endpoint: EndpointSettings, clock: Clock): TritonTransport {
  const { protocol, host } = new URL(endpoint.url)
  return new DeferredTransport(`${protocol}//${host}`, async () => {
    const { GrpcTransport } = await import('./grpc-transport.ts')
    return new GrpcTransport(endpoint, clock)
  })
}
