/** A source of numbers in [0, 1). Passed in wherever chance acts, so that a printed seed repeats a run. */
export type Random = () => number

/**
 * A seeded generator: mulberry32, 32 bits of state, period 2³².
 * Good for jitter, shuffles and workloads; not for secrets.
 */
export function createRandom(seed: number): Random {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = state
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296
  }
}
