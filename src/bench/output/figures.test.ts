import { describe, expect, it } from 'vitest'
import { showLatency, showShare } from './figures.ts'
import { describeAttainment } from './wording.ts'

describe('a figure of a report', () => {
  it('says how many samples a percentile needs, and a dash only where there is none at all', () => {
    const summary = {
      ttftMsP50: 12.34,
      ttftMsP99: null,
      ttftMsP999: null,
      ttftMsCount: 40,
      tpotMsP99: null,
      tpotMsCount: 0,
    }
    expect(showLatency(summary, 'ttftMs', 'P50')).toBe('12.3')
    expect(showLatency(summary, 'ttftMs', 'P99')).toBe('needs ≥ 100')
    expect(showLatency(summary, 'ttftMs', 'P999')).toBe('needs ≥ 1,000')
    expect(showLatency(summary, 'tpotMs', 'P99')).toBe('–')
  })

  it('gives a share with its interval', () => {
    expect(showShare(0.5, 0.4, 0.6)).toBe('50.0 % [40.0 %, 60.0 %]')
    expect(showShare(null, 0, 1)).toBe('–')
  })
})

describe('describeAttainment()', () => {
  it('names the limits that were missed, most often first', () => {
    const pooled = {
      name: 'chat',
      objectives: { ttftMs: 300, tpotMs: 30 },
      offered: 80,
      good: 40,
      misses: { tpotMs: 5, ttftMs: 31, failed: 9 },
      attainment: 0.5,
      low: 0.4,
      high: 0.6,
    }
    expect(describeAttainment(pooled)).toBe(
      'chat 50.0 % [40.0 %, 60.0 %] of 80: TTFT ≤ 300 ms missed by 31, 9 failed, TPOT ≤ 30 ms missed by 5',
    )
  })
})
