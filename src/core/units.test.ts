import { describe, expect, it } from 'vitest'
import { formatBytes, parseBytes, parseDurationMs } from './units.ts'

describe('units', () => {
  it('writes bytes in binary units with at most one decimal', () => {
    expect([0, 1023, 1024, 12.1 * 1024 ** 2, 3 * 1024 ** 4].map(formatBytes)).toEqual([
      '0 B',
      '1023 B',
      '1 KiB',
      '12.1 MiB',
      '3 TiB',
    ])
  })

  it('reads bytes with decimal and binary units, and nothing else', () => {
    expect(parseBytes('10 MB')).toBe(10_000_000)
    expect(parseBytes('1.5GiB')).toBe(1.5 * 1024 ** 3)
    expect(parseBytes('512')).toBe(512)
    for (const text of ['', 'MB', '-1', '1e9', '10 parsecs', '1.MB']) expect(parseBytes(text)).toBeUndefined()
  })

  it('reads durations as milliseconds, and nothing else', () => {
    expect(['500ms', '2s', '1.5m', '1h', '250'].map(parseDurationMs)).toEqual([500, 2000, 90_000, 3_600_000, 250])
    for (const text of ['', 's', '-1s', '1d', '1 2']) expect(parseDurationMs(text)).toBeUndefined()
  })
})
