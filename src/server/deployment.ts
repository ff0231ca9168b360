import type { LoadedConfig } from '../config/index.ts'
import { linkedController, TokenmillError, type Clock, type Random } from '../core/index.ts'
import type { Engine } from '../inference/index.ts'
import { ModelPool, placementPolicies, ReplicaSet, type BreakerLimits, type ModelRoute } from '../scheduler/index.ts'
import { CheckPace, type EndpointHost, type EndpointListener } from '../upstream/index.ts'
import type { ServedEngine } from './embedded-engines.ts'
import { fleetLimits, modelSpecs, type FleetLimits, type ModelSpec } from './engine-factory.ts'
import { Routes } from './routes.ts'

/** Limits of the queues in front of engines that flags name. */
export interface QueueLimits {
  readonly maxQueue: number
  readonly maxQueueWaitMs: number
}

export interface DeploymentParts {
  readonly engines: readonly ServedEngine[]
  readonly config: LoadedConfig | undefined
  readonly queue: QueueLimits
  readonly clock: Clock
  readonly random: Random
  readonly endpointChanged: EndpointListener
}

/** What a server serves now: the engines that flags name, and the models of its configuration file, which can change. */
export class Deployment {
  readonly routes: Routes
  readonly #clock: Clock
  readonly #random: Random
  readonly #ownRoutes: readonly ModelRoute[]
  readonly #own: ReplicaSet
  readonly #configured: ReplicaSet
  readonly #pools = new Map<string, ModelPool>()
  readonly #host: EndpointHost
  #limits: FleetLimits | undefined
  #applying: Promise<void> = Promise.resolve()

  constructor({ engines, config, queue, clock, random, endpointChanged }: DeploymentParts) {
    this.#clock = clock
    this.#random = random
    this.routes = new Routes(Math.floor(clock.wallTimeMs() / 1000))
    this.#own = new ReplicaSet(clock, () => neverOpens)
    this.#configured = new ReplicaSet(clock, () => this.#limits ?? neverOpens)
    this.#ownRoutes = this.#open(
      this.#own,
      engines.map((served, at) => ownSpec(served, at, queue)),
    )
    this.#limits = config === undefined ? undefined : fleetLimits(config)
    this.#host = {
      clock,
      listener: endpointChanged,
      ...(this.#limits === undefined ? {} : { pace: new CheckPace(this.#limits.maxChecksPerSecond) }),
    }
    const configured = config === undefined ? [] : this.#open(this.#configured, modelSpecs(config, this.#host))
    this.routes.set([...this.#ownRoutes, ...configured])
  }

  /** Limits of the configuration in force; undefined without one. */
  get limits(): FleetLimits | undefined {
    return this.#limits
  }

  /**
   * Takes a new configuration over, once its new endpoints have been looked at and its new embedded models loaded: until
   * then requests go the old ways, under the old limits. Throws without having changed anything. One at a time, in order.
   */
  apply(config: LoadedConfig): Promise<void> {
    const applied = this.#applying.then(() => this.#apply(config))
    this.#applying = applied.catch(() => undefined)
    return applied
  }

  /** Resolves once every remote endpoint has been looked at, whatever was found: a fleet starts with what there is. */
  async probed(): Promise<void> {
    const signal = new AbortController().signal
    const engines = this.#configured.replicas.map(({ engine }) => engine)
    await Promise.allSettled(engines.filter(isRemote).map((engine) => engine.ready(signal)))
  }

  async close(): Promise<void> {
    await Promise.all([this.#own.close(), this.#configured.close()])
  }

  #open(replicas: ReplicaSet, specs: readonly ModelSpec[]): readonly ModelRoute[] {
    const staged = replicas.stage(specs.flatMap((spec) => spec.replicas))
    staged.commit()
    return specs.flatMap((spec) => this.#routesOf(spec, staged.replicaOf))
  }

  async #apply(config: LoadedConfig): Promise<void> {
    if (this.#limits === undefined) {
      throw new TokenmillError('startup', 'The server was started without a configuration file.')
    }
    const limits = fleetLimits(config)
    const specs = modelSpecs(config, this.#host)
    const staged = this.#configured.stage(specs.flatMap((spec) => spec.replicas))
    try {
      await this.#ready(staged.fresh, limits.probeTimeoutMs)
    } catch (error) {
      staged.discard()
      throw error
    }
    this.#limits = limits
    staged.commit()
    const routes = specs.flatMap((spec) => this.#routesOf(spec, staged.replicaOf))
    this.routes.set([...this.#ownRoutes, ...routes])
    for (const name of this.#pools.keys()) if (this.routes.find(name) === undefined) this.#pools.delete(name)
  }

  /** Embedded engines must load; remote ones are looked at, and taken as they are after `patienceMs`. */
  async #ready(engines: readonly Engine[], patienceMs: number): Promise<void> {
    const never = new AbortController().signal
    const { controller: impatient, unlink } = linkedController(never)
    const cancelTimer = this.#clock.schedule(patienceMs, () => impatient.abort())
    try {
      await Promise.all(
        engines.map((engine) =>
          isRemote(engine) ? engine.ready(impatient.signal).catch(() => undefined) : engine.ready(never),
        ),
      )
    } finally {
      cancelTimer()
      unlink()
    }
  }

  /** The model's own route, and one to the same pool for each alias and adapter, which its engines know by name. */
  #routesOf(spec: ModelSpec, replicaOf: ReturnType<ReplicaSet['stage']>['replicaOf']): readonly ModelRoute[] {
    const [name] = spec.names
    const known = this.#pools.get(name)
    const placement =
      known?.placement.name === spec.placement ? known.placement : placementPolicies[spec.placement](this.#random)
    const { limits, fallbacks } = spec
    const settings = { replicas: spec.replicas.map(replicaOf), placement, limits, fallbacks }
    const pool = known ?? new ModelPool(name, settings, this.#clock)
    pool.update(settings)
    this.#pools.set(name, pool)
    return spec.names.map((each) => ({ name: each, pool, alias: each !== name }))
  }
}

/** A model that flags name: its one engine says how much it takes, and no time limit but its client's holds. */
function ownSpec({ engine, names }: ServedEngine, at: number, queue: QueueLimits): ModelSpec {
  const [first, ...others] = names
  return {
    names: [first ?? engine.endpoint, ...others],
    replicas: [{ key: String(at), id: () => engine.endpoint, weight: 1, labels: {}, create: () => engine }],
    placement: 'least-in-flight',
    limits: {
      ...queue,
      maxInFlight: undefined,
      firstTokenMs: Infinity,
      totalMs: Infinity,
      maxAttempts: 1,
      maxRetryWaitMs: 0,
      maxContinuationBytes: 0,
      retriesPerRequest: 0,
      retriesPerSecond: 0,
    },
    fallbacks: [],
  }
}

/** For engines that restart by themselves: all requests of one crash would be taken for as many failures. */
const neverOpens: BreakerLimits = {
  failuresToOpen: Infinity,
  failureShareToOpen: Infinity,
  windowRequests: 1,
  openMs: 0,
  maxOpenMs: 0,
  trialsToClose: 1,
}

/** It comes and goes by itself; one that loads its model must have done so before it is of use. */
function isRemote({ loadsModel }: Engine): boolean {
  return loadsModel !== true
}
