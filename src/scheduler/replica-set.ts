import type { Clock } from '../core/index.ts'
import type { Engine } from '../inference/index.ts'
import type { BreakerLimits } from './breaker.ts'
import { Replica, type ReplicaSettings } from './replica.ts'

/** A replica as a configuration describes it, before its engine exists. */
export interface ReplicaSpec extends Omit<ReplicaSettings, 'engine' | 'id'> {
  /** Equal keys are the same replica, also when several models name it. Holds every setting that its engine depends on. */
  readonly key: string
  /** Its address or name, as metrics and errors show it. */
  readonly id: (engine: Engine) => string
  readonly create: () => Engine
}

/** How long a replica that left the configuration may finish what runs on it. */
const drainMs = 600_000

/**
 * The replicas of a server, and their engines, which it owns. A new configuration keeps those whose key is the same, with
 * their connections, breakers and counters, opens the new ones, and drains and closes those that are gone.
 */
export class ReplicaSet {
  readonly #clock: Clock
  readonly #breakerLimits: () => BreakerLimits
  #open: ReadonlyMap<string, Replica> = new Map()
  readonly #closing = new Set<Promise<void>>()

  /** `breakerLimits` are read at each outcome. */
  constructor(clock: Clock, breakerLimits: () => BreakerLimits) {
    this.#clock = clock
    this.#breakerLimits = breakerLimits
  }

  get replicas(): readonly Replica[] {
    return [...this.#open.values()]
  }

  /**
   * Opens what is new of the specifications. Nothing changes for requests until `commit`; `discard` closes what was opened.
   * One of the two is called, and no other change is staged before.
   */
  stage(specs: readonly ReplicaSpec[]): StagedReplicas {
    const next = new Map<string, Replica>()
    const fresh: Replica[] = []
    try {
      for (const spec of specs) {
        if (next.has(spec.key)) continue
        const known = this.#open.get(spec.key)
        const replica = known ?? this.#create(spec)
        if (known === undefined) fresh.push(replica)
        next.set(spec.key, replica)
      }
    } catch (error) {
      for (const { engine } of fresh) void engine.close()
      throw error
    }
    return {
      fresh: fresh.map(({ engine }) => engine),
      replicaOf: ({ key }) => {
        const replica = next.get(key)
        if (replica === undefined) throw new Error('The specification was not staged.')
        return replica
      },
      commit: () => {
        for (const spec of specs) next.get(spec.key)?.update(spec)
        for (const [key, replica] of this.#open) if (!next.has(key)) this.#retire(replica)
        this.#open = next
      },
      discard: () => {
        for (const { engine } of fresh) void engine.close()
      },
    }
  }

  /** Closes every engine; those that drain close once the requests on them have ended. */
  async close(): Promise<void> {
    await Promise.all(this.replicas.map(({ engine }) => engine.close()))
    await Promise.all(this.#closing)
  }

  #create({ id, create, weight, labels }: ReplicaSpec): Replica {
    const engine = create()
    return new Replica({ id: id(engine), engine, weight, labels }, this.#breakerLimits, this.#clock)
  }

  #retire(replica: Replica): void {
    const closing = replica
      .drain(drainMs)
      .then(() => replica.engine.close())
      .finally(() => this.#closing.delete(closing))
    this.#closing.add(closing)
  }
}

export interface StagedReplicas {
  /** Engines that did not exist before. */
  readonly fresh: readonly Engine[]
  readonly replicaOf: (spec: ReplicaSpec) => Replica
  commit(): void
  discard(): void
}
