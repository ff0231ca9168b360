import { createHash } from 'node:crypto'
import { loadAfterNext, type PlacementPolicy, type ReplicaView } from '../placement.ts'
import { createLeastInFlight } from './least-in-flight.ts'

/** How far above the mean load the home replica may be before the next in line takes the request. */
const loadBound = 1.5

/**
 * Requests with the same key go to the same replica, whose prefix cache then knows the conversation. Weighted
 * rendezvous hashing: for each replica a score −weight / ln(u), with u in (0, 1) from a hash of key and replica, and
 * the highest wins; when a replica comes or goes, only its own keys move. With bounded load (Mirrokni et al.,
 * "Consistent hashing with bounded loads", 2018): a replica above 1.5 × the mean passes to the next in its order, so
 * that one busy session does not make a hot spot. Without a key: least-in-flight.
 */
export function createSessionAffinity(): PlacementPolicy {
  const keyless = createLeastInFlight()
  return {
    name: 'session-affinity',
    place(request, candidates) {
      const key = request.affinityKey
      if (key === undefined) return keyless.place(request, candidates)
      const ranked = candidates
        .map((candidate) => ({ candidate, score: score(key, candidate) }))
        .sort((a, b) => b.score - a.score)
      const weights = candidates.reduce((sum, candidate) => sum + candidate.weight, 0)
      const requests = candidates.reduce((sum, candidate) => sum + candidate.inFlight, 0) + 1
      const bound = Math.max(1, Math.ceil((loadBound * requests) / candidates.length)) * (candidates.length / weights)
      const home = ranked.find(({ candidate }) => loadAfterNext(candidate) <= bound) ?? ranked[0]
      if (home === undefined) throw new RangeError('A policy needs at least one candidate.')
      return home.candidate
    },
  }
}

function score(key: string, view: ReplicaView): number {
  const digest = createHash('sha1').update(key).update('\0').update(view.id).digest()
  const unit = (digest.readUIntBE(0, 6) + 1) / (2 ** 48 + 1)
  return -view.weight / Math.log(unit)
}
