import type { PlacementName } from '../options.ts'
import type { PlacementFactory } from '../placement.ts'
import { createLeastInFlight } from './least-in-flight.ts'
import { createPowerOfTwo } from './power-of-two.ts'
import { createRoundRobin } from './round-robin.ts'
import { createSessionAffinity } from './session-affinity.ts'

/** All placement policies by name. */
export const placementPolicies: Readonly<Record<PlacementName, PlacementFactory>> = {
  'round-robin': createRoundRobin,
  'least-in-flight': createLeastInFlight,
  'power-of-two': createPowerOfTwo,
  'session-affinity': createSessionAffinity,
}
