const binaryUnits = ['B', 'KiB', 'MiB', 'GiB', 'TiB'] as const

/** Bytes for people, in binary units with at most one decimal: `12.1 MiB`. */
export function formatBytes(bytes: number): string {
  let value = bytes
  let unit = 0
  while (Math.abs(value) >= 1024 && unit < binaryUnits.length - 1) {
    value /= 1024
    unit += 1
  }
  return `${Number(value.toFixed(unit === 0 ? 0 : 1))} ${binaryUnits[unit]}`
}

const multipliers: Readonly<Record<string, number>> = {
  b: 1,
  kb: 1e3,
  mb: 1e6,
  gb: 1e9,
  tb: 1e12,
  kib: 1024,
  mib: 1024 ** 2,
  gib: 1024 ** 3,
  tib: 1024 ** 4,
}

/** Bytes from `10 MB`, `1.5GiB` or a bare number; undefined where the text is none of these. */
export function parseBytes(text: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?)\s*([a-z]*)$/i.exec(text.trim())
  const multiplier = multipliers[(match?.[2] || 'b').toLowerCase()]
  if (match === null || multiplier === undefined) return undefined
  return Math.round(Number(match[1]) * multiplier)
}

/** Milliseconds from `500ms`, `2s`, `1.5m`, `1h` or a bare number of milliseconds; undefined where the text is none of these. */
export function parseDurationMs(text: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?)\s*(ms|s|m|h)?$/i.exec(text.trim())
  if (match === null) return undefined
  const factor = { ms: 1, s: 1e3, m: 6e4, h: 3.6e6 }[(match[2] ?? 'ms').toLowerCase()] ?? 1
  return Number(match[1]) * factor
}
