import { describe, expect, it } from 'vitest'
import { createRandom } from './random.ts'

describe('createRandom', () => {
  it('repeats its sequence for the same seed and differs for another', () => {
    const draw = (seed: number) => {
      const random = createRandom(seed)
      return Array.from({ length: 8 }, random)
    }
    expect(draw(7)).toEqual(draw(7))
    expect(draw(7)).not.toEqual(draw(8))
  })

  it('is uniform on [0, 1): a chi-square over 20 bins stays under its 99.9 % quantile', () => {
    const random = createRandom(1)
    const bins = Array.from({ length: 20 }, () => 0)
    for (let i = 0; i < 20_000; i++) {
      const value = random()
      expect(value >= 0 && value < 1).toBe(true)
      const bin = Math.floor(value * 20)
      bins[bin] = (bins[bin] ?? 0) + 1
    }
    const chiSquare = bins.reduce((sum, count) => sum + (count - 1000) ** 2 / 1000, 0)
    expect(chiSquare).toBeLessThan(43.8) // 19 degrees of freedom
  })
})
