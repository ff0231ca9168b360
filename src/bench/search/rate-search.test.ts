import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { searchRate } from './rate-search.ts'

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
