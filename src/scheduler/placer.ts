import type { TokenmillError } from '../core/index.ts'
import { canServe, engineModelName } from './engine-support.ts'
import type { ModelRoute } from './model-pool.ts'
import type { Replica } from './replica.ts'
import type { WorkItem } from './work-item.ts'

/** A replica that a request was placed on. It counts as in flight there until the lease is released. */
export interface Lease {
  readonly route: ModelRoute
  readonly replica: Replica
  /** The name under which the replica's engine knows the model. */
  readonly engineModel: string
  /** Ends the lease, once, with what went wrong there if anything did. More releases do nothing. */
  release(error?: TokenmillError): void
}

/** The replicas of a route that could take a request, by how soon. */
export interface Candidates {
  /** Now. */
  readonly able: readonly Replica[]
  /** Now or later: they support what it asks for and are not excluded. */
  readonly capable: readonly Replica[]
}

/** The replicas of the route for this request, without those that are excluded. */
export function candidatesOf(
  { pool }: ModelRoute,
  item: WorkItem,
  excluded: ReadonlyMap<Replica, unknown>,
): Candidates {
  const capable = pool.replicas.filter((replica) => !excluded.has(replica) && canServe(replica.engine, item))
  const able = capable.filter((replica) => replica.unavailability() === undefined)
  if (able.length > 0) return { able, capable }
  // Better to wait for one that starts again than to be refused.
  return { able: capable.filter((replica) => replica.unavailability()?.kind === 'restarting'), capable }
}

/**
 * Places a request on one of the replicas, by the pool's policy, and counts it there. Chooses without executing: what is
 * done with the lease, and for how long, is the caller's. `among` holds at least one replica.
 */
export function placeRequest(route: ModelRoute, item: WorkItem, among: readonly Replica[]): Lease {
  const [only] = among
  const replica = among.length === 1 && only !== undefined ? only : route.pool.placement.place(item, among)
  return { route, replica, engineModel: engineModelName(replica.engine, route.name), release: replica.acquire() }
}
