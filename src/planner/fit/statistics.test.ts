import { describe, expect, it } from 'vitest'
import { accuracyOf, median, quantile, rankCorrelation } from './statistics.ts'

describe('statistics', () => {
  it('interpolates quantiles between neighbours', () => {
    expect(median([3, 1, 2])).toBe(2)
    expect(median([4, 1, 2, 3])).toBe(2.5)
    expect(quantile([0, 10], 0.9)).toBeCloseTo(9, 9)
    expect(median([])).toBeNaN()
  })

  it('ranks with ties at their mean', () => {
    expect(rankCorrelation([1, 2, 3, 4], [10, 20, 30, 40])).toBeCloseTo(1, 9)
    expect(rankCorrelation([1, 2, 3, 4], [4, 3, 2, 1])).toBeCloseTo(-1, 9)
    // Ranks 0, 1.5, 1.5, 3 against 0, 1, 2, 3: covariance 4.5 over √(4.5 · 5).
    expect(rankCorrelation([1, 2, 2, 3], [1, 2, 3, 4])).toBeCloseTo(4.5 / Math.sqrt(4.5 * 5), 9)
  })

  it('measures relative errors', () => {
    const result = accuracyOf([
      { predicted: 11, measured: 10 },
      { predicted: 10, measured: 20 },
      { predicted: 30, measured: 30 },
    ])
    expect(result.median).toBeCloseTo(0.1, 9)
    expect(result.mean).toBeCloseTo(0.2, 9)
  })
})
