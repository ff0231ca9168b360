import type { Axis, Point } from './report.ts'

export interface Bin {
  readonly from: number
  readonly to: number
  readonly count: number
}

/**
 * Bins of equal width (equal ratio where `scale` is log), covering every finite value once. Their number, unless
 * given: Freedman–Diaconis, width = 2·IQR/∛n, kept between 5 and 60.
 */
export function toBins(values: readonly number[], scale: Axis['scale'] = 'linear', wanted?: number): readonly Bin[] {
  const usable = values.filter((value) => Number.isFinite(value) && (scale !== 'log' || value > 0))
  const sorted = usable.map((value) => (scale === 'log' ? Math.log(value) : value)).sort((a, b) => a - b)
  const first = sorted[0]
  const last = sorted.at(-1)
  if (first === undefined || last === undefined) return []
  const back = (value: number) => (scale === 'log' ? Math.exp(value) : value)
  if (first === last) return [{ from: back(first), to: back(last), count: sorted.length }]
  const count = wanted ?? freedmanDiaconis(sorted, last - first)
  const width = (last - first) / count
  const counts = Array.from<number>({ length: count }).fill(0)
  for (const value of sorted) {
    const index = Math.min(count - 1, Math.floor((value - first) / width))
    counts[index] = (counts[index] ?? 0) + 1
  }
  return counts.map((inBin, index) => ({
    from: back(first + index * width),
    to: back(index === count - 1 ? last : first + (index + 1) * width),
    count: inBin,
  }))
}

function freedmanDiaconis(sorted: readonly number[], range: number): number {
  const at = (share: number) => sorted[Math.floor(share * (sorted.length - 1))] ?? 0
  const width = (2 * (at(0.75) - at(0.25))) / Math.cbrt(sorted.length)
  return width > 0 ? Math.max(5, Math.min(60, Math.ceil(range / width))) : 5
}

/** The empirical distribution: y is the share of values ≤ x. At most `most` points, extremes kept. */
export function toCdf(values: readonly number[], most = 400): readonly Point[] {
  const sorted = values.filter((value) => Number.isFinite(value)).sort((a, b) => a - b)
  const steps = Math.min(sorted.length, most)
  return Array.from({ length: steps }, (_, step) => {
    const rank = steps === 1 ? sorted.length : 1 + Math.round((step * (sorted.length - 1)) / (steps - 1))
    return { x: sorted[rank - 1] ?? 0, y: rank / sorted.length }
  })
}
