import type { Random } from '../core/index.ts'

/** A draw from Exp(1), by inversion. */
export function sampleExponential(random: Random): number {
  return -Math.log(1 - random())
}

/** A draw from N(0, 1), by the Box–Muller transform (one of its two values; the other is dropped to keep no state). */
export function sampleNormal(random: Random): number {
  return Math.sqrt(2 * sampleExponential(random)) * Math.cos(2 * Math.PI * random())
}

/**
 * A draw from Gamma(shape, scale 1), whose mean is `shape`. Marsaglia and Tsang, "A simple method for generating
 * gamma variables", ACM TOMS 26 (2000); below shape 1 by their boost Gamma(a) = Gamma(a + 1)·U^(1/a).
 */
export function sampleGamma(shape: number, random: Random): number {
  if (shape < 1) return sampleGamma(shape + 1, random) * (1 - random()) ** (1 / shape)
  const d = shape - 1 / 3
  const c = 1 / Math.sqrt(9 * d)
  for (;;) {
    const normal = sampleNormal(random)
    const v = (1 + c * normal) ** 3
    if (v <= 0) continue
    const u = 1 - random()
    if (Math.log(u) < 0.5 * normal * normal + d * (1 - v + Math.log(v))) return d * v
  }
}

/** A 32-bit seed for stream `index` of `seed`: streams of one seed do not overlap in practice (murmur3's finaliser). */
export function deriveSeed(seed: number, index: number): number {
  let mixed = (Math.imul(seed ^ 0x9e3779b9, 0x85ebca6b) + Math.imul(index + 1, 0xc2b2ae35)) >>> 0
  mixed ^= mixed >>> 16
  mixed = Math.imul(mixed, 0x85ebca6b)
  mixed ^= mixed >>> 13
  mixed = Math.imul(mixed, 0xc2b2ae35)
  return (mixed ^ (mixed >>> 16)) >>> 0
}
