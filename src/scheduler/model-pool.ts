import type { Clock } from '../core/index.ts'
import { Admission, type AdmissionLimits } from './admission.ts'
import type { PlacementPolicy } from './placement.ts'
import { createFifoQueue } from './queue.ts'
import type { Replica } from './replica.ts'
import { RetryBudget, type RetryBudgetLimits } from './retry-budget.ts'

export interface PoolLimits extends RetryBudgetLimits {
  /** Most sequences at its replicas at once; undefined: as many as its engines say that they decode. */
  readonly maxInFlight: number | undefined
  readonly maxQueue: number
  readonly maxQueueWaitMs: number
  /** Longest wait of one attempt for its first output. Infinity: none. */
  readonly firstTokenMs: number
  /** Longest time of a request from its admission to its end, over all attempts. Infinity: none. */
  readonly totalMs: number
  /** Most attempts on this model, the first included. */
  readonly maxAttempts: number
  /** Longest wait before another attempt, for a Retry-After or for the same replica to recover. */
  readonly maxRetryWaitMs: number
  /** Most of an answer that is kept so that another replica can continue it; 0: none is continued. */
  readonly maxContinuationBytes: number
}

/** What a configuration says of a model. */
export interface PoolSettings {
  readonly replicas: readonly Replica[]
  readonly placement: PlacementPolicy
  readonly limits: PoolLimits
  /** Models to turn to, in order, when this one cannot serve. Their own fallbacks are not followed. */
  readonly fallbacks: readonly string[]
}

/**
 * One model and its replicas: the queue in front of them, the policy that chooses among them, the budget for retries. It
 * outlives its settings: a new configuration keeps the requests that wait, what was learnt and what was saved.
 */
export class ModelPool {
  readonly name: string
  readonly admission: Admission
  readonly retryBudget: RetryBudget
  #settings: PoolSettings
  readonly #admissionLimits: AdmissionLimits

  constructor(name: string, settings: PoolSettings, clock: Clock) {
    this.name = name
    this.#settings = settings
    this.#admissionLimits = new PoolAdmissionLimits(this)
    const queue = createFifoQueue(() => this.limits.maxQueue)
    this.admission = new Admission(name, () => this.#admissionLimits, queue, clock)
    this.retryBudget = new RetryBudget(() => this.limits, clock)
  }

  get replicas(): readonly Replica[] {
    return this.#settings.replicas
  }

  /** Where it is served: the address of its one replica, else a name for all of them. */
  get endpoint(): string {
    const [only] = this.replicas
    return only !== undefined && this.replicas.length === 1 ? only.engine.endpoint : `fleet:${this.name}`
  }

  get placement(): PlacementPolicy {
    return this.#settings.placement
  }

  get limits(): PoolLimits {
    return this.#settings.limits
  }

  get fallbacks(): readonly string[] {
    return this.#settings.fallbacks
  }

  /** Requests under way keep the replicas that they run on. */
  update(settings: PoolSettings): void {
    this.#settings = settings
  }
}

/** A pool's limits as admission reads them, at each decision and without a copy. */
class PoolAdmissionLimits implements AdmissionLimits {
  readonly #pool: ModelPool

  constructor(pool: ModelPool) {
    this.#pool = pool
  }

  get capacity(): number {
    const { maxInFlight } = this.#pool.limits
    if (maxInFlight !== undefined) return maxInFlight
    let capacity = 0
    for (const { engine } of this.#pool.replicas) capacity += engine.status().maxRunning ?? unknownCapacity
    return capacity
  }

  get maxQueue(): number {
    return this.#pool.limits.maxQueue
  }

  get maxQueueWaitMs(): number {
    return this.#pool.limits.maxQueueWaitMs
  }
}

/** Sequences admitted to an engine that does not say how many it decodes at once. */
const unknownCapacity = 256

/** A name that clients may ask for, and the pool that serves it. */
export interface ModelRoute {
  readonly name: string
  readonly pool: ModelPool
  /** Another name of a pool listed before (an alias, an adapter): the pool's figures are not counted again. */
  readonly alias: boolean
}
