import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { RunResult } from '../result.ts'
import { compareRuns, verdictOf } from './comparison.ts'
import { searchRate } from './goodput-search.ts'

describe('searchRate()', () => {
  it('finds any limit to the asked precision, from either side', async () => {
    const limit = fc.double({ min: 0.05, max: 5000, noNaN: true })
    await fc.assert(
      fc.asyncProperty(limit, fc.double({ min: 0.1, max: 100, noNaN: true }), async (limit, startRate) => {
        let points = 0
        const found = await searchRate({ startRate, precision: 0.03, maxPoints: 60 }, (rate) => {
          points += 1
          return Promise.resolve(rate <= limit)
        })
        expect(found.highest).toBeLessThanOrEqual(limit)
        expect(found.highest).toBeGreaterThan(limit / 1.0301)
        expect(points).toBeLessThan(30)
      }),
    )
  })

  it('ends where nothing holds, or everything does', async () => {
    const search = { startRate: 1, precision: 0.03, maxPoints: 6 }
    expect(await searchRate(search, () => Promise.resolve(false))).toMatchObject({ highest: undefined })
    expect(await searchRate(search, () => Promise.resolve(true))).toMatchObject({
      highest: 32,
      lowestFailed: undefined,
    })
  })
})

describe('compareRuns()', () => {
  const runs = (values: readonly number[]): RunResult[] =>
    values.map((value) => ({ summary: { ttftMsP50: value, tpotMsP50: null } }) as unknown as RunResult)

  it('gives the geometric mean of paired ratios, and an interval that holds it', () => {
    const ttftMsP50 = compareRuns(runs([100, 110, 90]), runs([200, 220, 180]), 1)['ttftMsP50']
    expect(ttftMsP50?.ratio).toBeCloseTo(2, 9)
    const noisy = compareRuns(runs([100, 100, 100]), runs([80, 100, 125]), 1)['ttftMsP50']
    expect(noisy?.ratio).toBeCloseTo(1, 9)
    expect(noisy?.low).toBeLessThan(1)
    expect(noisy?.high).toBeGreaterThan(1)
  })

  it.each([
    ['ttftMsP50', 1.1, 1.3, 'TTFT p50', 'B worse'],
    ['ttftMsP50', 0.7, 0.9, 'TTFT p50', 'B better'],
    ['outputTokPerS', 1.1, 1.3, 'output tokens/s', 'B better'],
    ['goodputRps', 0.7, 0.9, 'goodput, requests/s', 'B worse'],
    ['itlMsP99', 0.9, 1.1, 'ITL p99', 'no difference shown'],
    ['outputTokensMean', 1.1, 1.3, 'output tokens, mean', 'unequal lengths'],
  ])('says of %s between %d and %d: %s, %s', (key, low, high, name, text) => {
    expect(verdictOf(key, { ratio: Math.sqrt(low * high), low, high })).toMatchObject({ name, text })
  })

  it('gives no ratio of what is unknown on either side', () => {
    expect(compareRuns(runs([1]), runs([2]), 1)).not.toHaveProperty('tpotMsP50')
  })
})
