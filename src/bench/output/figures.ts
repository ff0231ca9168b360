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

/** Value with its interval, where the summary has one: `12.3 [11.9, 12.8]`. */
export function showWithInterval(summary: Readonly<Record<string, number | null>>, key: string): string {
  const [low, high] = [summary[`${key}Low`], summary[`${key}High`]]
  const value = showNumber(summary[key])
  return low === undefined || high === undefined ? value : `${value} [${showNumber(low)}, ${showNumber(high)}]`
}
