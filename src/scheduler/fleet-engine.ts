import { TokenmillError, toTokenmillError } from '../core/index.ts'
import {
  allExtensions,
  extensionsOf,
  type EmbeddingRequest,
  type EmbeddingResult,
  type Engine,
  type EngineModel,
  type EngineStatus,
  type GenerationEvent,
  type GenerationRequest,
  type GenerationTrace,
  type RelayOperation,
  type RequestExtension,
  type RerankRequest,
  type RerankResult,
  type TokenizeInput,
} from '../inference/index.ts'
import { Continuation } from './continuation.ts'
import { EventPipe } from './event-pipe.ts'
import type { Attempt, Fleet, ModelRoute } from './fleet.ts'
import type { Replica } from './replica.ts'

/** Deaths of a replica in the middle of one answer that are survived. */
const maxContinuations = 3

/**
 * All replicas of one model as one engine: whoever asks it need not know that there are several. Its model is the
 * route of that name in the fleet, as it is at the moment of each request.
 */
export class FleetEngine implements Engine {
  readonly endpoint: string
  readonly fleet: Fleet
  readonly #model: string
  readonly #limits: () => { readonly maxInFlight: number; readonly maxContinuationBytes: number }

  constructor(
    fleet: Fleet,
    model: string,
    limits: () => { readonly maxInFlight: number; readonly maxContinuationBytes: number },
  ) {
    this.fleet = fleet
    this.endpoint = `fleet:${model}`
    this.#model = model
    this.#limits = limits
  }

  /** Those that any replica takes: requests go to such a one. Who has not answered yet may take any. */
  get extensions(): ReadonlySet<RequestExtension> {
    const replicas = this.#replicas()
    if (replicas.some(({ engine }) => engine.status().state !== 'ready')) return allExtensions
    return new Set([...allExtensions].filter((each) => replicas.some(({ engine }) => engine.extensions?.has(each))))
  }

  models(): readonly EngineModel[] {
    const known = this.#replicas().flatMap(({ engine }) => {
      const models = engine.models()
      return models.find(({ name }) => name === this.#model) ?? models[0] ?? []
    })
    const contexts = known.flatMap(({ contextTokens }) => contextTokens ?? [])
    return [
      {
        name: this.#model,
        parent: known[0]?.parent,
        // What every replica can hold.
        contextTokens: contexts.length === 0 ? undefined : Math.min(...contexts),
        root: known[0]?.root ?? this.#model,
      },
    ]
  }

  status(): EngineStatus {
    const replicas = this.#replicas()
    const states = replicas.map(({ engine }) => engine.status())
    const shares = states.flatMap(({ kvCacheUsage }) => kvCacheUsage ?? [])
    return {
      state: stateOf(states),
      loadProgress: Math.max(0, ...states.map(({ loadProgress }) => loadProgress)),
      running: states.reduce((sum, { running }) => sum + running, 0),
      waiting: states.reduce((sum, { waiting }) => sum + waiting, 0),
      kvCacheUsage: shares.length === 0 ? undefined : shares.reduce((sum, share) => sum + share, 0) / shares.length,
      prefixCache: undefined,
      preemptions: undefined,
      maxRunning: this.#limits().maxInFlight,
    }
  }

  /** Resolves when one replica is ready; rejects when none can be. */
  async ready(signal: AbortSignal): Promise<void> {
    const replicas = this.#replicas()
    try {
      await Promise.any(replicas.map(async ({ engine }) => await engine.ready(signal)))
    } catch (error) {
      const reasons = error instanceof AggregateError ? error.errors.map((each) => toTokenmillError(each).message) : []
      throw new TokenmillError(
        'unavailable',
        `No endpoint of the model '${this.#model}' is ready: ${reasons.join(' ')}`,
      )
    }
  }

  async *generate(
    request: GenerationRequest,
    signal: AbortSignal,
    trace?: GenerationTrace,
  ): AsyncGenerator<GenerationEvent, void, undefined> {
    yield* this.#generate(
      request,
      new Continuation(request, this.#limits().maxContinuationBytes),
      new Map(),
      signal,
      trace,
    )
  }

  /**
   * Goes on with an answer of which a replica, dead since, has already given `text`. Throws `error` where it cannot be
   * continued. The events are those of the rest; the usage is that of the whole.
   */
  async *resume(
    request: GenerationRequest,
    said: { readonly text: string; readonly tokens: number; readonly replica: Replica; readonly error: TokenmillError },
    signal: AbortSignal,
    trace?: GenerationTrace,
  ): AsyncGenerator<GenerationEvent, void, undefined> {
    const continuation = new Continuation(request, this.#limits().maxContinuationBytes)
    continuation.said(said.text, said.tokens)
    const rest = continuation.rest(said.error)
    if (rest === undefined) throw said.error
    yield* this.#generate(rest, continuation, new Map([[said.replica, said.error]]), signal, trace)
  }

  async *#generate(
    first: GenerationRequest,
    continuation: Continuation,
    /** Who has died of what while saying this answer, in that order. */
    dead: Map<Replica, TokenmillError>,
    signal: AbortSignal,
    trace: GenerationTrace | undefined,
  ): AsyncGenerator<GenerationEvent, void, undefined> {
    let request = first
    for (;;) {
      const continued = dead.size > 0
      const firstTokens = continuation.tokens
      let placed: Attempt | undefined
      try {
        const given = new AbortController()
        const either = AbortSignal.any([signal, given.signal])
        const pipe = new EventPipe()
        const work = this.#run(request, either, dead, async (attempt) => {
          placed = attempt
          trace?.placed(attempt.engine.endpoint)
          await generateInto(pipe, request, attempt)
        })
        try {
          for await (const event of pipe.read(work)) {
            if (event.type === 'usage' && continued) {
              yield { type: 'usage', usage: continuation.total(event.usage, firstTokens) }
              continue
            }
            if (event.type === 'prefilled' && continued) continue
            if (event.type !== 'usage') continuation.note(event)
            yield event
          }
        } finally {
          given.abort(new TokenmillError('cancelled', 'The reader left.'))
        }
        return
      } catch (thrown) {
        const error = toTokenmillError(thrown)
        // Nobody was there to go on: what ended the answer is the death, not the lack of another.
        const death = [...dead.values()].at(-1)
        if (placed === undefined && death !== undefined && !signal.aborted) throw death
        // Its kind of engine cannot continue a text: another's may.
        if (placed !== undefined && death !== undefined && error.code === 'unsupported') {
          dead.set(placed.replica, death)
          continue
        }
        const rest = dead.size < maxContinuations && placed !== undefined ? continuation.rest(error) : undefined
        if (rest === undefined || placed === undefined || signal.aborted) throw error
        dead.set(placed.replica, error)
        request = rest
      }
    }
  }

  async tokenize(_model: string, input: TokenizeInput, signal: AbortSignal): Promise<readonly number[]> {
    return await this.#once('tokenize', signal, (engine, model, signal) => engine.tokenize?.(model, input, signal))
  }

  async detokenize(_model: string, tokens: readonly number[], signal: AbortSignal): Promise<string> {
    return await this.#once('detokenize', signal, (engine, model, signal) => engine.detokenize?.(model, tokens, signal))
  }

  async embed(request: EmbeddingRequest, signal: AbortSignal): Promise<EmbeddingResult> {
    return await this.#once('embedding', signal, (engine, model, signal) =>
      engine.embed?.({ ...request, model }, signal),
    )
  }

  async rerank(request: RerankRequest, signal: AbortSignal): Promise<RerankResult> {
    return await this.#once('rerank', signal, (engine, model, signal) => engine.rerank?.({ ...request, model }, signal))
  }

  /** Nothing: the replicas belong to whoever made them. */
  close(): Promise<void> {
    return Promise.resolve()
  }

  #replicas(): readonly Replica[] {
    return this.fleet.route(this.#model)?.replicas ?? []
  }

  #run(
    request: GenerationRequest,
    signal: AbortSignal,
    dead: ReadonlyMap<Replica, unknown>,
    run: (attempt: Attempt) => Promise<void>,
  ): Promise<void> {
    const operation = request.input.kind === 'chat' ? 'chat' : 'completion'
    const needs = extensionsOf(request)
    const capable = (engine: Engine): boolean =>
      supports(engine, operation) && needs.every((need) => engine.extensions?.has(need) === true)
    const exclude = new Set(dead.keys())
    return this.fleet.dispatch({ model: this.#model, affinityKey: request.affinityKey, capable, exclude }, signal, run)
  }

  async #once<T>(
    operation: RelayOperation,
    signal: AbortSignal,
    call: (engine: Engine, model: string, signal: AbortSignal) => Promise<T> | undefined,
  ): Promise<T> {
    return await this.fleet.dispatch(
      { model: this.#model, affinityKey: undefined, capable: (engine) => supports(engine, operation), whole: true },
      signal,
      async ({ engine, route, signal }) => {
        const result = call(engine, modelAt(engine, route), signal)
        if (result === undefined) throw new TokenmillError('unsupported', `${engine.endpoint} has no ${operation}.`)
        return await result
      },
    )
  }
}

/** Can the engine do this: as bytes, or by its own method? */
export function supports(engine: Engine, operation: RelayOperation): boolean {
  if (engine.relays !== undefined) return engine.relays(operation)
  switch (operation) {
    case 'chat':
    case 'completion':
      return true
    case 'embedding':
      return engine.embed !== undefined
    case 'rerank':
      return engine.rerank !== undefined
    case 'tokenize':
      return engine.tokenize !== undefined
    case 'detokenize':
      return engine.detokenize !== undefined
  }
}

/** The name under which an engine knows the route's model: the same where it lists that, else its first. */
export function modelAt(engine: Engine, route: ModelRoute): string {
  const models = engine.models()
  return models.some(({ name }) => name === route.name) ? route.name : (models[0]?.name ?? route.name)
}

/** Runs one attempt into the pipe. Its first output commits it. */
async function generateInto(pipe: EventPipe, request: GenerationRequest, attempt: Attempt): Promise<void> {
  const held: GenerationEvent[] = []
  let committed = false
  const asked = { ...request, model: modelAt(attempt.engine, attempt.route) }
  for await (const event of attempt.engine.generate(asked, attempt.signal)) {
    if (!committed) {
      // Until there is output nothing goes out, so that another replica may start anew.
      held.push(event)
      if (event.type === 'prefilled') continue
      committed = true
      attempt.commit()
      for (const early of held.splice(0)) await pipe.put(early)
    } else await pipe.put(event)
  }
  for (const early of held) await pipe.put(early)
}

function stateOf(states: readonly EngineStatus[]): EngineStatus['state'] {
  for (const state of ['ready', 'unloaded', 'restarting', 'loading'] as const) {
    if (states.some((status) => status.state === state)) return state
  }
  return 'unavailable'
}
