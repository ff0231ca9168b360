import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { toBins, toCdf } from './distributions.ts'

describe('toBins', () => {
  it('puts every finite value in exactly one bin, whatever the values', () => {
    fc.assert(
      fc.property(fc.array(fc.double({ min: -1e9, max: 1e9, noNaN: true }), { maxLength: 300 }), (values) => {
        const counted = toBins(values).reduce((sum, bin) => sum + bin.count, 0)
        expect(counted).toBe(values.length)
      }),
    )
  })

  it('uses equal ratios on a log axis and leaves out what has no logarithm', () => {
    const bins = toBins([1, 10, 100, 0, -5, Number.NaN], 'log', 2)
    expect(bins.map((bin) => bin.count)).toEqual([1, 2])
    expect(bins[0]?.to).toBeCloseTo(10, 9)
    expect(bins[1]?.to).toBeCloseTo(100, 9)
  })
})

describe('toCdf', () => {
  it('gives the share of values at or below each point, ending at one', () => {
    expect(toCdf([3, 1, 2, 4])).toEqual([
      { x: 1, y: 0.25 },
      { x: 2, y: 0.5 },
      { x: 3, y: 0.75 },
      { x: 4, y: 1 },
    ])
  })

  it('keeps both extremes and never decreases when it thins many values', () => {
    const values = Array.from({ length: 5000 }, (_, index) => (index * 7919) % 5000)
    const points = toCdf(values, 100)
    expect(points).toHaveLength(100)
    expect(points[0]?.x).toBe(0)
    expect(points.at(-1)).toEqual({ x: 4999, y: 1 })
    points.slice(1).forEach((point, index) => expect(point.y).toBeGreaterThanOrEqual(points[index]?.y ?? 0))
  })
})
