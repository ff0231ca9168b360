import { loadAfterNext, type PlacementPolicy, type ReplicaView } from '../placement.ts'

/**
 * The replica with the fewest requests in flight from here for its weight: least (inFlight + 1) / weight. In-flight
 * counts change at dispatch, so a burst spreads at once, where metrics would be stale. Between equals: the one whose
 * engine reports fewer waiting, then the one that has waited longest for its turn.
 */
export function createLeastInFlight(): PlacementPolicy {
  let turn = 0
  const lastTurn = new Map<string, number>()
  const better = (a: ReplicaView, b: ReplicaView): boolean => {
    const difference = loadAfterNext(a) - loadAfterNext(b)
    if (difference !== 0) return difference < 0
    if (a.waiting !== b.waiting) return a.waiting < b.waiting
    return (lastTurn.get(a.id) ?? 0) < (lastTurn.get(b.id) ?? 0)
  }
  return {
    name: 'least-in-flight',
    place(_request, candidates) {
      let chosen = candidates[0]
      if (chosen === undefined) throw new RangeError('A policy needs at least one candidate.')
      for (const candidate of candidates) if (better(candidate, chosen)) chosen = candidate
      turn += 1
      lastTurn.set(chosen.id, turn)
      if (lastTurn.size > 2 * candidates.length + 64) lastTurn.clear()
      return chosen
    },
  }
}
