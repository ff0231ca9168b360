import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createRandom } from '../core/index.ts'
import { LogHistogram } from './histogram.ts'
import { sampleNormal } from './sampling.ts'
import { bootstrapInterval, quantileOf, studentTwoSided, trendOf, wilsonInterval } from './statistics.ts'

const positive = fc.array(fc.double({ min: 0, max: 1e7, noNaN: true }), { minLength: 1, maxLength: 300 })

function histogramOf(values: readonly number[]): LogHistogram {
  const histogram = new LogHistogram()
  for (const value of values) histogram.record(value)
  return histogram
}

describe('LogHistogram', () => {
  it('gives each quantile within 0.1 % of the exact one, and exact count, sum, least and greatest', () => {
    fc.assert(
      fc.property(positive, fc.double({ min: 0, max: 1, noNaN: true }), (values, q) => {
        const histogram = histogramOf(values)
        const exact = quantileOf(values, q)
        // Interpolation mixes two neighbours, each off by its own bucket: the larger bounds the error.
        const sorted = values.toSorted((a, b) => a - b)
        const above = sorted[Math.ceil(q * (values.length - 1))] ?? 0
        expect(Math.abs(histogram.quantile(q) - exact)).toBeLessThanOrEqual(0.00101 * above + 1e-3)
        expect(histogram.count).toBe(values.length)
        expect(histogram.least).toBe(Math.min(...values))
        expect(histogram.greatest).toBe(Math.max(...values))
      }),
    )
  })

  it('is the same merged from shards, and read back from JSON, as made in one go', () => {
    fc.assert(
      fc.property(positive, positive, (left, right) => {
        const merged = histogramOf(left)
        merged.merge(histogramOf(right))
        const whole = histogramOf([...left, ...right])
        const read = LogHistogram.fromJSON(JSON.parse(JSON.stringify(merged)) as ReturnType<LogHistogram['toJSON']>)
        const qs = [0, 0.1, 0.5, 0.99, 1]
        expect(merged.quantiles(qs)).toEqual(whole.quantiles(qs))
        expect(read.quantiles(qs)).toEqual(whole.quantiles(qs))
        expect(read.mean).toBeCloseTo(whole.mean, 6)
      }),
    )
  })

  it('holds a bounded number of buckets however much it sees', () => {
    const histogram = new LogHistogram()
    const random = createRandom(1)
    for (let i = 0; i < 200_000; i += 1) histogram.record(1e6 * random() ** 4)
    expect(histogram.toJSON().buckets.length).toBeLessThan(12_000)
  })

  it('has no statistic of nothing', () => {
    const empty = new LogHistogram()
    expect([empty.mean, empty.quantile(0.5), empty.least]).toEqual([Number.NaN, Number.NaN, Number.NaN])
  })
})

describe('intervals', () => {
  it('of a proportion match Wilson’s published values', () => {
    // Newcombe (1998), Statistics in Medicine 17, table I, method 3: 81/263 and 15/148; 0/20.
    expect(wilsonInterval(81, 263).low).toBeCloseTo(0.2553, 4)
    expect(wilsonInterval(81, 263).high).toBeCloseTo(0.3662, 4)
    expect(wilsonInterval(15, 148).low).toBeCloseTo(0.0624, 4)
    expect(wilsonInterval(15, 148).high).toBeCloseTo(0.1605, 4)
    expect(wilsonInterval(0, 20).high).toBeCloseTo(0.1611, 4)
  })

  it('of a bootstrapped mean cover the truth about as often as they claim', () => {
    const random = createRandom(9)
    let covered = 0
    for (let round = 0; round < 200; round += 1) {
      const values = Array.from({ length: 40 }, () => 5 + sampleNormal(random))
      const { low, high } = bootstrapInterval(values, random, undefined, 400)
      if (low <= 5 && 5 <= high) covered += 1
    }
    expect(covered).toBeGreaterThan(178)
  })
})

describe('trendOf()', () => {
  it('finds a slope beneath noise and no slope in noise alone', () => {
    const random = createRandom(4)
    const noisy = (slope: number) =>
      trendOf(Array.from({ length: 100 }, (_, x) => ({ x, y: slope * x + 10 * sampleNormal(random) })))
    expect(noisy(1)?.pValue).toBeLessThan(1e-6)
    expect(noisy(1)?.slope).toBeCloseTo(1, 0)
    const falseAlarms = Array.from({ length: 300 }, () => noisy(0)).filter((trend) => (trend?.pValue ?? 1) < 0.05)
    expect(falseAlarms.length).toBeLessThan(32)
    expect(trendOf([{ x: 1, y: 1 }])).toBeUndefined()
  })

  it('uses Student’s t: the tables’ two-sided 5 % points', () => {
    expect(studentTwoSided(12.706, 1)).toBeCloseTo(0.05, 4)
    expect(studentTwoSided(2.571, 5)).toBeCloseTo(0.05, 4)
    expect(studentTwoSided(1.984, 100)).toBeCloseTo(0.05, 3)
  })
})
