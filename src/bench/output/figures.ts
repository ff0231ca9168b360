import { fewestSamples } from '../metrics/summary.ts'

type Figures = Readonly<Record<string, number | null>>

/** A figure for people: three significant digits from 1 on, thousands grouped, counts whole; a dash where there is none. */
export function showNumber(value: number | null | undefined): string {
  if (value === null || value === undefined || Number.isNaN(value)) return '–'
  const size = Math.abs(value)
  if (size === 0) return '0'
  if (size >= 1000) return Math.round(value).toLocaleString('en-GB')
  if (Number.isInteger(value)) return String(value)
  if (size >= 100) return value.toFixed(0)
  if (size >= 10) return value.toFixed(1)
  if (size >= 1) return value.toFixed(2)
  return value.toPrecision(3)
}

export function showPercent(share: number | null | undefined): string {
  if (share === null || share === undefined || Number.isNaN(share)) return '–'
  return `${(share * 100).toFixed(1)} %`
}

/** A share with its interval: `93.2 % [90.5 %, 95.2 %]`. */
export function showShare(share: number | null, low: number, high: number): string {
  return share === null ? '–' : `${showPercent(share)} [${showPercent(low)}, ${showPercent(high)}]`
}

/** Value with its interval, where the summary has one: `12.3 [11.9, 12.8]`. */
export function showWithInterval(summary: Figures, key: string): string {
  const [low, high] = [summary[`${key}Low`], summary[`${key}High`]]
  const value = showNumber(summary[key])
  return low === undefined || high === undefined ? value : `${value} [${showNumber(low)}, ${showNumber(high)}]`
}

/**
 * A latency's figure: `ttftMs` with `P99`. Where there are too few samples for a percentile it says how many it needs: a
 * dash would leave open whether there are none at all.
 */
export function showLatency(summary: Figures, name: string, column: string): string {
  const key = `${name}${column}`
  const count = summary[`${name}Count`] ?? 0
  const needed = fewestSamples[column] ?? 0
  if ((summary[key] ?? null) === null && count > 0 && count < needed) return `needs ≥ ${needed.toLocaleString('en-GB')}`
  return showWithInterval(summary, key)
}
