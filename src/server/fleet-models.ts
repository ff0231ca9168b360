import { createHash } from 'node:crypto'
import type { Clock, OptionTable, OptionValues, Random } from '../core/index.ts'
import type { EndpointConfig, LoadedConfig, ModelConfig } from '../config/index.ts'
import { createEmbeddedEngine } from '../engine/index.ts'
import { engineOptions } from '../engine/options.ts'
import type { Engine } from '../inference/index.ts'
import {
  Admission,
  Fleet,
  FleetEngine,
  placementPolicies,
  Replica,
  RetryBudget,
  type FleetObserver,
  type ModelRoute,
} from '../scheduler/index.ts'
import { fleetOptions, schedulerOptions } from '../scheduler/options.ts'
import type { EndpointGauges } from '../telemetry/index.ts'
import {
  OpenAiEngine,
  TritonEngine,
  type EndpointListener,
  type EndpointSettings,
  type TritonSettings,
  type EndpointHost,
  CheckPace,
} from '../upstream/index.ts'
import { upstreamOptions } from '../upstream/options.ts'
import type { ModelTarget } from './models.ts'

/** How long a replica that left the configuration may finish what runs on it. */
const drainMs = 600_000

/** Told of what happens in the fleet. */
export interface FleetModelsObserver extends FleetObserver {
  endpointChanged?(...change: Parameters<EndpointListener>): void
}

interface OpenReplica {
  readonly replica: Replica
  readonly key: string
}

/**
 * The models of a configuration file: builds the engines of their endpoints, and on a new file keeps those whose
 * settings are the same (with their connections, breakers and counters), opens the new ones, and drains and closes
 * those that are gone. Owns the engines that it made.
 */
export class FleetModels {
  readonly #fleet: Fleet
  readonly #clock: Clock
  readonly #random: Random
  /** Shared by all endpoints. */
  readonly #host: EndpointHost
  readonly #admissions = new Map<string, Admission>()
  #config: LoadedConfig
  /** By key: equal settings are one replica, also when several models name it. */
  #open = new Map<string, OpenReplica>()
  readonly #closing = new Set<Promise<void>>()
  #limits: { readonly config: LoadedConfig; readonly values: FleetLimits } | undefined
  #applying: Promise<void> = Promise.resolve()

  constructor(config: LoadedConfig, clock: Clock, random: Random, observer: FleetModelsObserver = {}) {
    this.#config = config
    this.#clock = clock
    this.#random = random
    this.#host = {
      clock,
      listener: (...change) => observer.endpointChanged?.(...change),
      pace: new CheckPace(limitsOf(config).maxChecksPerSecond),
    }
    this.#fleet = new Fleet(clock, random, observer)
    this.#fleet.setRoutes(config.value.models.flatMap((model) => this.#routesOf(model, new Map())))
  }

  get fleet(): Fleet {
    return this.#fleet
  }

  /** The limits in force: those of the file, else the defaults. */
  get limits(): FleetLimits {
    // Each request asks several times: worked out once for a file.
    if (this.#limits?.config !== this.#config) this.#limits = { config: this.#config, values: limitsOf(this.#config) }
    return this.#limits.values
  }

  engines(): readonly Engine[] {
    return [...this.#open.values()].map(({ replica }) => replica.engine)
  }

  /**
   * Takes a new configuration over, once its new endpoints have been looked at and its new embedded models loaded:
   * until then requests go the old ways. Throws without having changed anything. One at a time, in order.
   */
  apply(config: LoadedConfig): Promise<void> {
    const applied = this.#applying.then(() => this.#apply(config))
    this.#applying = applied.catch(() => undefined)
    return applied
  }

  async #apply(config: LoadedConfig): Promise<void> {
    const before = { config: this.#config, open: this.#open }
    const fresh = (): Engine[] =>
      [...this.#open].filter(([key]) => !before.open.has(key)).map(([, { replica }]) => replica.engine)
    let routes: readonly ModelRoute[]
    this.#config = config
    this.#open = new Map()
    try {
      routes = config.value.models.flatMap((model) => this.#routesOf(model, before.open))
      const patience = AbortSignal.timeout(this.limits.probeTimeoutMs)
      const never = new AbortController().signal
      await Promise.all(
        fresh().map((engine) =>
          isRemote(engine) ? engine.ready(patience).catch(() => undefined) : engine.ready(never),
        ),
      )
    } catch (error) {
      for (const engine of fresh()) void engine.close()
      this.#config = before.config
      this.#open = before.open
      throw error
    }
    this.#fleet.setRoutes(routes)
    for (const [key, { replica }] of before.open) if (!this.#open.has(key)) this.#retire(replica)
  }

  /** Resolves once every endpoint has been looked at, whatever was found: a fleet starts with what there is. */
  async probed(): Promise<void> {
    const signal = new AbortController().signal
    const remote = this.engines().filter(isRemote)
    await Promise.allSettled(remote.map((engine) => engine.ready(signal)))
  }

  /** Each replica of each model, as metrics show it. */
  gauges(): readonly EndpointGauges[] {
    return this.#fleet.routes.flatMap(({ name, replicas }) =>
      replicas.map((replica) => ({
        model: name,
        endpoint: replica.id,
        inFlight: replica.inFlight,
        breaker: replica.breaker.state,
        status: replica.engine.status(),
      })),
    )
  }

  /** What the names of the models lead to. */
  targets(): readonly ModelTarget[] {
    return this.#config.value.models.flatMap((model) =>
      [model.name, ...Object.keys(model.adapters)].map((name) => {
        const engine = new FleetEngine(this.#fleet, name, () => this.limits)
        // Adapters wait in their model's queue, and its figures are theirs.
        const [admission, alias] = [this.#admission(model.name), name !== model.name]
        return { name, engine, engineModel: name, admission, alias, fleet: engine }
      }),
    )
  }

  async close(): Promise<void> {
    await Promise.all([...this.#open.values()].map(({ replica }) => replica.engine.close()))
    await Promise.all(this.#closing)
  }

  /** The model's own route, and one to the same replicas for each of its adapters, which their engines know by name. */
  #routesOf(model: ModelConfig, before: ReadonlyMap<string, OpenReplica>): readonly ModelRoute[] {
    const names = [model.name, ...Object.keys(model.adapters)]
    return names.map((name) => this.#route(model, name, before))
  }

  #route(model: ModelConfig, name: string, before: ReadonlyMap<string, OpenReplica>): ModelRoute {
    const limits = { ...this.limits, ...defined(model.timeouts), ...defined(model.retries) }
    const placement = model.placement ?? limits.placement
    const known = this.#fleet.route(name)
    return {
      name,
      replicas: model.endpoints.map((endpoint, at) => this.#replica(model, endpoint, at, before)),
      placement: known?.placement.name === placement ? known.placement : placementPolicies[placement](this.#random),
      budget: new RetryBudget({ ...limits, maxSaved: 100 }, this.#clock),
      timeouts: limits,
      maxAttempts: limits.maxAttempts,
      maxRetryWaitMs: limits.maxRetryWaitMs,
      fallbacks: model.fallbacks,
    }
  }

  #replica(
    model: ModelConfig,
    endpoint: EndpointConfig,
    at: number,
    before: ReadonlyMap<string, OpenReplica>,
  ): Replica {
    const key = this.#keyOf(model, endpoint)
    const open = this.#open.get(key) ?? before.get(key) ?? { key, replica: this.#create(model, endpoint, at) }
    this.#open.set(key, open)
    return open.replica
  }

  #create(model: ModelConfig, endpoint: EndpointConfig, at: number): Replica {
    const engine = this.#engine(model, endpoint)
    // Several replicas may share an address: the place in the file tells them apart.
    const id = endpoint.url === undefined ? `${engine.endpoint}#${at}` : engine.endpoint
    return new Replica({ id, engine, weight: endpoint.weight, labels: endpoint.labels }, this.limits, this.#clock)
  }

  #engine(model: ModelConfig, endpoint: EndpointConfig): Engine {
    const kind = kindOf(endpoint)
    if (kind === 'embedded') {
      const options = withDefaults(engineOptions, this.#config.value.engine)
      const engines = this.#config.value.models.flatMap(({ endpoints }) => endpoints)
      const embedded = engines.filter((each) => each.engine === 'embedded').length
      const adapters = Object.entries(model.adapters).map(([name, adapter]) =>
        typeof adapter === 'string'
          ? { name, path: adapter, scale: 1 }
          : { name, path: adapter.file, scale: adapter.scale },
      )
      const local = { path: endpoint.model ?? '', name: model.name, adapters, engines: embedded }
      const engine = createEmbeddedEngine(local, options)
      // It loads in the background; until then its status says so.
      engine.ready(new AbortController().signal).catch(() => undefined)
      return engine
    }
    if (kind === 'triton') return new TritonEngine(this.#tritonSettings(model, endpoint), this.#host)
    return new OpenAiEngine(this.#settings(model, endpoint, kind), this.#host)
  }

  #tritonSettings(model: ModelConfig, endpoint: EndpointConfig): TritonSettings {
    const { chatTemplate, metricsUrl, repository = 'none' } = endpoint
    return {
      ...this.#settings(model, endpoint, 'auto'),
      chatTemplate: chatTemplate === undefined ? undefined : this.#config.secret(chatTemplate),
      metricsUrl,
      repository,
    }
  }

  #settings(model: ModelConfig, endpoint: EndpointConfig, engine: EndpointSettings['engine']): EndpointSettings {
    const read = (secret: EndpointConfig['apiKey']) => (secret === undefined ? undefined : this.#config.secret(secret))
    const { tls } = endpoint
    return {
      url: endpoint.url ?? '',
      engine,
      model: endpoint.model,
      apiKey: read(endpoint.apiKey),
      headers: Object.fromEntries(
        Object.entries(endpoint.headers).map(([name, value]) => [name, this.#config.secret(value)]),
      ),
      priority: endpoint.priority,
      tls:
        tls === undefined
          ? undefined
          : {
              ca: read(tls.ca),
              cert: read(tls.cert),
              key: read(tls.key),
              serverName: tls.serverName,
              verify: tls.verify ?? true,
            },
      limits: { ...this.limits, ...defined(model.timeouts) },
    }
  }

  /** Equal keys: the same replica. A hash, since secrets are in it. */
  #keyOf(model: ModelConfig, endpoint: EndpointConfig): string {
    const { weight, labels } = endpoint
    const kind = kindOf(endpoint)
    const settings =
      kind === 'embedded'
        ? { embedded: endpoint.model, name: model.name, adapters: model.adapters, engine: this.#config.value.engine }
        : kind === 'triton'
          ? this.#tritonSettings(model, endpoint)
          : this.#settings(model, endpoint, kind)
    return createHash('sha256')
      .update(JSON.stringify({ settings, weight, labels, limits: this.limits }))
      .digest('hex')
  }

  #retire(replica: Replica): void {
    const closing = replica
      .drain(drainMs)
      .then(() => replica.engine.close())
      .finally(() => this.#closing.delete(closing))
    this.#closing.add(closing)
  }

  #admission(name: string): Admission {
    const known = this.#admissions.get(name)
    if (known !== undefined) return known
    const { maxQueue, maxQueueWaitMs } = this.limits
    const capacity = (): number => this.limits.maxInFlight
    const admission = new Admission({ name, capacity, maxQueue, maxQueueWaitMs, clock: this.#clock })
    this.#admissions.set(name, admission)
    return admission
  }
}

/** Remote engines come and go by themselves; an embedded one must load before it is of use. */
function isRemote(engine: Engine): boolean {
  return engine instanceof OpenAiEngine || engine instanceof TritonEngine
}

/** The engine that an endpoint names, or that its address gives away. */
function kindOf({ engine, url }: EndpointConfig): EndpointConfig['engine'] {
  return engine === 'auto' && url?.startsWith('grpc') === true ? 'triton' : engine
}

type FleetLimits = ReturnType<typeof limitsOf>

function limitsOf({ value }: LoadedConfig) {
  return {
    ...withDefaults(fleetOptions, value.limits),
    ...withDefaults(upstreamOptions, value.limits),
    ...withDefaults(schedulerOptions, value.limits),
  }
}

/** The values of a table: those given, else the defaults. */
function withDefaults<Table extends OptionTable>(table: Table, given: object): OptionValues<Table> {
  const values = Object.entries(table).map(([name, option]) => {
    const value: unknown = Reflect.get(given, name)
    return [name, value ?? option.default]
  })
  return Object.fromEntries(values) as OptionValues<Table>
}

/** Without the settings that were not given. */
function defined<T extends object>(given: T): { [Key in keyof T]: Exclude<T[Key], undefined> } {
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)) as {
    [Key in keyof T]: Exclude<T[Key], undefined>
  }
}
