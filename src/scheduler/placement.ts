import type { Random } from '../core/index.ts'
import type { WorkItem } from './work-item.ts'
import type { PlacementName } from './options.ts'

/** What a policy sees of a replica. All figures are of this moment, except those that `loadAgeMs` dates. */
export interface ReplicaView {
  readonly id: string
  /** Share of requests that it should get beside its neighbours: twice the weight, twice the load. > 0 */
  readonly weight: number
  /** Requests dispatched from here and not ended, counted at dispatch. */
  readonly inFlight: number
  /** As the engine last reported, whoever sent them; `loadAgeMs` ago. */
  readonly running: number
  readonly waiting: number
  /** 0 to 1; undefined where unknown. */
  readonly kvCacheUsage: number | undefined
  /** Undefined: the figures are of this moment. */
  readonly loadAgeMs: number | undefined
  readonly labels: Readonly<Record<string, string>>
}

/** What a policy knows of the request. */
export type PlacementRequest = Pick<WorkItem, 'affinityKey'>

/**
 * Chooses the replica of one request. A policy is made once for each model and may remember (whose turn it is); it
 * never waits and contacts no engine.
 */
export interface PlacementPolicy {
  readonly name: PlacementName
  /** One of the candidates, of which there is at least one; all of them can serve now. */
  place<View extends ReplicaView>(request: PlacementRequest, candidates: readonly View[]): View
}

export type PlacementFactory = (random: Random) => PlacementPolicy

/** Load that the next request would see, in requests for each unit of weight. */
export function loadAfterNext(view: ReplicaView): number {
  return (view.inFlight + 1) / view.weight
}
