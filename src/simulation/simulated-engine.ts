import { limitError, onAbort, systemClock, throwIfAborted, TokenmillError, type Clock } from '../core/index.ts'
import type {
  EmbeddingRequest,
  EmbeddingResult,
  Engine,
  EngineModel,
  EngineStatus,
  GenerationEvent,
  GenerationRequest,
  TokenizeInput,
} from '../inference/index.ts'
import { parseDistribution } from '../workload/index.ts'
import { passOf, toInput, toVector } from './embedding.ts'
import { SimulatedGeneration, type GenerationSettings } from './generation.ts'
import { IndependentScheduler, type IndependentSchedulerSettings } from './independent-scheduler.ts'
import type { SequenceScheduler } from './sequence-scheduler.ts'
import { StepScheduler, type StepSchedulerSettings } from './step-scheduler.ts'
import { toTokens } from './tokens.ts'

export interface SimulatedEngineSettings extends Partial<GenerationSettings> {
  /** Names this replica: `simulated:a`. */
  readonly name: string
  readonly models: readonly string[]
  /** Longest prompt and answer together, tokens; less where the KV blocks hold less. */
  readonly contextTokens: number
  /** Requests that wait beyond those that run; one more is refused with `queue_full`. Default: no limit. */
  readonly maxWaiting?: number
  /** Length of embedding vectors. Default: 384. */
  readonly embeddingDimensions?: number
  readonly timing:
    | ({ readonly kind: 'steps' } & StepSchedulerSettings)
    | ({ readonly kind: 'independent' } & IndependentSchedulerSettings)
}

/**
 * An engine that takes time and says nothing: the scheduler, KV blocks and prefix cache of a real one over a model of its steps, on
 * the virtual or the real clock. Equal seeds and request ids give equal lengths, texts and times.
 */
export class SimulatedEngine implements Engine {
  readonly endpoint: string
  readonly extensions = new Set(['minTokens'] as const)
  readonly #settings: SimulatedEngineSettings
  readonly #generation: GenerationSettings
  readonly #clock: Clock
  readonly #scheduler: SequenceScheduler
  readonly #contextTokens: number
  readonly #open = new Set<SimulatedGeneration>()
  #closed = false

  constructor(settings: SimulatedEngineSettings, clock: Clock = systemClock) {
    this.endpoint = `simulated:${settings.name}`
    this.#settings = settings
    const { seed = 1, outputTokens, tokensPerEvent = parseDistribution('1') } = settings
    this.#generation = { seed, outputTokens, tokensPerEvent }
    this.#clock = clock
    const { timing } = settings
    this.#scheduler =
      timing.kind === 'steps' ? new StepScheduler(clock, timing) : new IndependentScheduler(clock, timing)
    // A sequence that the blocks cannot hold would wait for ever.
    this.#contextTokens = Math.min(settings.contextTokens, this.#scheduler.kvTokens ?? Infinity)
  }

  /** Joules of all steps since start; undefined where the step model knows none. */
  get joules(): number | undefined {
    return this.#scheduler.joules
  }

  models(): readonly EngineModel[] {
    const contextTokens = this.#contextTokens
    return this.#settings.models.map((name) => ({ name, parent: undefined, contextTokens, root: this.endpoint }))
  }

  status(): EngineStatus {
    const { running, waiting, maxRunning, kvCacheUsage, kvTokens, prefixCache, preemptions } = this.#scheduler
    return {
      state: this.#closed ? 'closed' : 'ready',
      loadProgress: 1,
      running,
      waiting,
      maxRunning,
      kvCacheUsage,
      kvCells: kvTokens,
      prefixCache,
      preemptions,
    }
  }

  async ready(signal: AbortSignal): Promise<void> {
    throwIfAborted(signal)
    await Promise.resolve()
  }

  generate(request: GenerationRequest, signal: AbortSignal): AsyncIterable<GenerationEvent> {
    return this.#run(request, signal, () => this.#readPrompt(request))
  }

  /** Takes the time of a prompt's prefill. */
  async embed(request: EmbeddingRequest, signal: AbortSignal): Promise<EmbeddingResult> {
    throwIfAborted(signal)
    this.#requireModel(request.model)
    const prompts = request.inputs.map((input) => toTokens(toInput(input)))
    const promptTokens = prompts.reduce((sum, prompt) => sum + prompt.length, 0)
    for await (const event of this.#run(passOf(request), signal, () => prompts.flat()))
      if (event.type === 'usage') break
    const dimensions = request.dimensions ?? this.#settings.embeddingDimensions ?? 384
    return { vectors: prompts.map((prompt) => toVector(prompt, dimensions)), promptTokens }
  }

  async tokenize(model: string, input: TokenizeInput, signal: AbortSignal): Promise<readonly number[]> {
    throwIfAborted(signal)
    this.#requireModel(model)
    return await Promise.resolve(toTokens(input))
  }

  async close(): Promise<void> {
    this.#closed = true
    for (const generation of this.#open) generation.fail(new TokenmillError('cancelled', 'The engine is closed.'))
    await Promise.resolve()
  }

  /** Nothing happens before the first event is asked for: the prompt is not read before it. */
  async *#run(
    request: GenerationRequest,
    signal: AbortSignal,
    readPrompt: () => readonly number[],
  ): AsyncGenerator<GenerationEvent, void> {
    throwIfAborted(signal)
    if (this.#closed) throw new TokenmillError('unavailable', `${this.endpoint} is closed.`)
    const prompt = readPrompt()
    const limit = request.maxTokens ?? this.#contextTokens - prompt.length
    const { maxWaiting = Infinity } = this.#settings
    const { running, waiting, maxRunning } = this.#scheduler
    if (waiting >= maxWaiting && running >= maxRunning) throw queueFullError(maxWaiting, waiting)
    const parts = { scheduler: this.#scheduler, clock: this.#clock, settings: this.#generation }
    const generation = new SimulatedGeneration(request, prompt, limit, parts)
    this.#open.add(generation)
    const stopListening = onAbort(signal, (error) => generation.fail(error))
    try {
      yield* generation.events
    } finally {
      stopListening()
      generation.release()
      this.#open.delete(generation)
    }
  }

  /** Throws what vLLM refuses too: a prompt that leaves no room for the answer it asks for. */
  #readPrompt(request: GenerationRequest): readonly number[] {
    this.#requireModel(request.model)
    requireTextOnly(request)
    const prompt = toTokens(request.input)
    const limit = { name: 'contextTokens', maximum: this.#contextTokens, unit: 'tokens' }
    const code = 'context_length_exceeded'
    if (prompt.length >= this.#contextTokens)
      throw limitError(limit, prompt.length, 'The prompt', 'Shorten it, and leave room for an answer.', code)
    const whole = prompt.length + (request.maxTokens ?? 0)
    if (whole <= this.#contextTokens) return prompt
    throw limitError(limit, whole, 'The prompt with its answer', 'Shorten the prompt or lower max_tokens.', code)
  }

  #requireModel(model: string): void {
    const { models } = this.#settings
    if (models.includes(model)) return
    const list = models.map((name) => `'${name}'`).join(', ')
    throw new TokenmillError('model_not_found', `This engine serves ${list}, not '${model}'.`, { available: models })
  }
}

/** Words without a model have no probabilities and no shape. */
function requireTextOnly({ logprobs, promptLogprobs, constraint }: GenerationRequest): void {
  const param =
    logprobs !== undefined
      ? 'logprobs'
      : promptLogprobs !== undefined
        ? 'prompt_logprobs'
        : constraint === undefined
          ? undefined
          : 'response_format'
  if (param === undefined) return
  throw new TokenmillError('unsupported', `${param} is not supported by a simulated engine. Leave it out.`, { param })
}

function queueFullError(maximum: number, actual: number): TokenmillError {
  const message = `The engine's line is full: ${actual} requests wait, and the limit 'maxWaiting' is ${maximum}.`
  return new TokenmillError('queue_full', message, {
    limit: 'maxWaiting',
    maximum,
    actual,
    unit: 'requests',
    retryAfterMs: 1000,
  })
}
