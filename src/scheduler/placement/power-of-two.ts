import type { Random } from '../../core/index.ts'
import { loadAfterNext, type PlacementPolicy, type ReplicaView } from '../placement.ts'

/**
 * Two candidates by chance, by weight, the less loaded of them (Mitzenmacher, "The power of two choices in randomized
 * load balancing", 2001). Nearly as even as least-in-flight, and many gateways that each see only their own requests
 * do not all run to the same replica.
 */
export function createPowerOfTwo(random: Random): PlacementPolicy {
  return {
    name: 'power-of-two',
    place(_request, candidates) {
      const first = pick(candidates, random)
      if (candidates.length === 1) return first
      const second = pick(
        candidates.filter((candidate) => candidate !== first),
        random,
      )
      return loadAfterNext(second) < loadAfterNext(first) ? second : first
    },
  }
}

function pick<View extends ReplicaView>(candidates: readonly View[], random: Random): View {
  let point = random() * candidates.reduce((sum, candidate) => sum + candidate.weight, 0)
  for (const candidate of candidates) {
    point -= candidate.weight
    if (point < 0) return candidate
  }
  const last = candidates.at(-1)
  if (last === undefined) throw new RangeError('A policy needs at least one candidate.')
  return last
}
