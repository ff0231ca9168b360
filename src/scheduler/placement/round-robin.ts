import type { PlacementPolicy } from '../placement.ts'

/**
 * Smooth weighted round-robin (nginx, "smooth weighted load balancing"): each turn every candidate gains its weight,
 * the richest is chosen and pays the sum of weights. With weights 5, 1, 1 the order is a a b a c a a: never a run
 * longer than needed. Blind to load: for replicas that are equal and requests that are equal.
 */
export function createRoundRobin(): PlacementPolicy {
  const credits = new Map<string, number>()
  return {
    name: 'round-robin',
    place(_request, candidates) {
      let total = 0
      let chosen = candidates[0]
      let most = -Infinity
      for (const candidate of candidates) {
        total += candidate.weight
        const credit = (credits.get(candidate.id) ?? 0) + candidate.weight
        credits.set(candidate.id, credit)
        if (credit > most) {
          most = credit
          chosen = candidate
        }
      }
      if (chosen === undefined) throw new RangeError('A policy needs at least one candidate.')
      credits.set(chosen.id, most - total)
      // Replicas that have gone leave their credit behind; forget them when they outnumber the living.
      if (credits.size > 2 * candidates.length + 64) credits.clear()
      return chosen
    },
  }
}
