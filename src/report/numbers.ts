/** A number for people: three significant digits (or `digits` after the point), thousands set apart. */
export function formatNumber(value: number, digits?: number): string {
  if (!Number.isFinite(value)) return '–'
  if (digits !== undefined) {
    return value.toLocaleString('en-US', { minimumFractionDigits: digits, maximumFractionDigits: digits })
  }
  const magnitude = Math.abs(value)
  if (magnitude !== 0 && (magnitude < 1e-4 || magnitude >= 1e12)) return value.toPrecision(3)
  if (Number.isInteger(value) || magnitude >= 1000) return Math.round(value).toLocaleString('en-US')
  return String(Number(value.toPrecision(3)))
}

/** `label (unit)` */
export function withUnit(label: string, unit: string | undefined): string {
  return unit === undefined ? label : `${label} (${unit})`
}
