import type { Random } from '../core/index.ts'

/** A range that holds the true value with a stated confidence. */
export interface Interval {
  readonly low: number
  readonly high: number
}

export function meanOf(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length
}

/** The q-quantile by linear interpolation between order statistics at rank q·(n − 1), as NumPy. NaN when empty. */
export function quantileOf(values: readonly number[], q: number): number {
  const sorted = values.toSorted((a, b) => a - b)
  const rank = q * (sorted.length - 1)
  const low = sorted[Math.floor(rank)] ?? Number.NaN
  const high = sorted[Math.ceil(rank)] ?? Number.NaN
  return low + (high - low) * (rank - Math.floor(rank))
}

/** z of a two-sided 95 % interval. */
const z95 = 1.959963985

/** Wilson's 95 % score interval of a proportion (Wilson 1927): honest for few trials and near 0 and 1. */
export function wilsonInterval(successes: number, trials: number): Interval {
  if (trials === 0) return { low: 0, high: 1 }
  const share = successes / trials
  const z2 = z95 * z95
  const centre = (share + z2 / (2 * trials)) / (1 + z2 / trials)
  const half = (z95 / (1 + z2 / trials)) * Math.sqrt((share * (1 - share)) / trials + z2 / (4 * trials * trials))
  return { low: Math.max(0, centre - half), high: Math.min(1, centre + half) }
}

/**
 * Percentile bootstrap interval (Efron 1979) of a statistic of independent values, 95 % by default: the values
 * are drawn with replacement, `resamples` times. Of one value there is no interval: it is the value itself.
 */
export function bootstrapInterval(
  values: readonly number[],
  random: Random,
  statistic: (values: readonly number[]) => number = meanOf,
  resamples = 2000,
  level = 0.95,
): Interval {
  const results = Array.from({ length: resamples }, () =>
    statistic(values.map(() => values[Math.floor(random() * values.length)] ?? Number.NaN)),
  )
  return { low: quantileOf(results, (1 - level) / 2), high: quantileOf(results, (1 + level) / 2) }
}

/** Does y grow with x? Least squares, with the two-sided p-value of "no trend" by Student's t. */
export interface Trend {
  readonly slope: number
  readonly pValue: number
}

/** The trend of y over x; undefined with fewer than three points or no spread in x. */
export function trendOf(points: readonly { readonly x: number; readonly y: number }[]): Trend | undefined {
  const n = points.length
  if (n < 3) return undefined
  const meanX = meanOf(points.map((point) => point.x))
  const meanY = meanOf(points.map((point) => point.y))
  let sxx = 0
  let sxy = 0
  let syy = 0
  for (const { x, y } of points) {
    sxx += (x - meanX) ** 2
    sxy += (x - meanX) * (y - meanY)
    syy += (y - meanY) ** 2
  }
  if (sxx === 0) return undefined
  const slope = sxy / sxx
  const residual = Math.max(0, syy - slope * sxy)
  if (residual <= 1e-12 * syy || residual === 0) return { slope, pValue: slope === 0 ? 1 : 0 }
  const t = slope / Math.sqrt(residual / (n - 2) / sxx)
  return { slope, pValue: studentTwoSided(t, n - 2) }
}

/** P(|T| ≥ |t|) for Student's t: the incomplete beta function I_x(ν/2, ½) at x = ν/(ν + t²). */
export function studentTwoSided(t: number, degrees: number): number {
  return incompleteBeta(degrees / (degrees + t * t), degrees / 2, 0.5)
}

/** Regularised incomplete beta by its continued fraction (Lentz), Numerical Recipes section 6.4. */
function incompleteBeta(x: number, a: number, b: number): number {
  if (x <= 0) return 0
  if (x >= 1) return 1
  if (x > (a + 1) / (a + b + 2)) return 1 - incompleteBeta(1 - x, b, a)
  const front = Math.exp(logGamma(a + b) - logGamma(a) - logGamma(b) + a * Math.log(x) + b * Math.log(1 - x)) / a
  const tiny = 1e-300
  let c = 1
  let d = 1 / Math.max(tiny, Math.abs(1 - ((a + b) * x) / (a + 1)))
  let fraction = d
  for (let m = 1; m <= 300; m += 1) {
    const even = (m * (b - m) * x) / ((a + 2 * m - 1) * (a + 2 * m))
    d = 1 / orTiny(1 + even * d, tiny)
    c = orTiny(1 + even / c, tiny)
    fraction *= d * c
    const odd = (-(a + m) * (a + b + m) * x) / ((a + 2 * m) * (a + 2 * m + 1))
    d = 1 / orTiny(1 + odd * d, tiny)
    c = orTiny(1 + odd / c, tiny)
    const change = d * c
    fraction *= change
    if (Math.abs(change - 1) < 1e-14) break
  }
  return front * fraction
}

function orTiny(value: number, tiny: number): number {
  return Math.abs(value) < tiny ? tiny : value
}

/** Lanczos' approximation with g = 7 and nine terms; error below 1e-13 for arguments above ½. */
function logGamma(x: number): number {
  const terms = [
    0.99999999999980993, 676.5203681218851, -1259.1392167224028, 771.32342877765313, -176.61502916214059,
    12.507343278686905, -0.13857109526572012, 9.9843695780195716e-6, 1.5056327351493116e-7,
  ]
  if (x < 0.5) return Math.log(Math.PI / Math.sin(Math.PI * x)) - logGamma(1 - x)
  const shifted = x - 1
  const t = shifted + 7.5
  const series = terms.reduce((sum, term, index) => (index === 0 ? term : sum + term / (shifted + index)), 0)
  return 0.5 * Math.log(2 * Math.PI) + (shifted + 0.5) * Math.log(t) - t + Math.log(series)
}
