import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createRandom, parseDurationMs } from '../core/index.ts'
import { parseDistribution, sampleLength } from './distribution.ts'
import { words } from './words.ts'

/** Largest distance between the draws' distribution and the given one (Kolmogorov–Smirnov). */
function distance(text: string, cumulative: (x: number) => number, count = 20_000): number {
  const random = createRandom(11)
  const distribution = parseDistribution(text)
  const draws = Array.from({ length: count }, () => distribution.sample(random)).toSorted((a, b) => a - b)
  return Math.max(...draws.map((x, i) => Math.max((i + 1) / count - cumulative(x), cumulative(x) - i / count)))
}

/** Abramowitz and Stegun 7.1.26, error below 1.5e-7. */
function normalCumulative(z: number): number {
  const t = 1 / (1 + (0.3275911 * Math.abs(z)) / Math.SQRT2)
  const poly = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))))
  const tail = (poly * Math.exp((-z * z) / 2)) / 2
  return z > 0 ? 1 - tail : tail
}

describe('parseDistribution()', () => {
  // The critical distance at 20,000 draws is 1.63/√20000 = 0.0115 at 1 %.
  it('draws from the distribution that it names', () => {
    expect(distance('uniform:100,200', (x) => (x - 100) / 100)).toBeLessThan(0.0115)
    expect(distance('exponential:50', (x) => 1 - Math.exp(-x / 50))).toBeLessThan(0.0115)
    expect(distance('normal:100,10', (x) => normalCumulative((x - 100) / 10))).toBeLessThan(0.0115)
    expect(distance('lognormal:80,0.5', (x) => normalCumulative(Math.log(x / 80) / 0.5))).toBeLessThan(0.0115)
    expect(distance('gamma:50,1', (x) => 1 - Math.exp(-x / 50))).toBeLessThan(0.0115)
    // Shape 4 (cv ½) is the sum of four exponentials: Erlang.
    const erlang = (x: number): number => {
      const y = (4 * x) / 100
      return 1 - Math.exp(-y) * (1 + y + (y * y) / 2 + (y * y * y) / 6)
    }
    expect(distance('gamma:100,0.5', erlang)).toBeLessThan(0.0115)
    // Shape ½ (cv √2) is half a chi-square of one degree.
    expect(distance('gamma:1,1.4142135623730951', (x) => 2 * normalCumulative(Math.sqrt(x)) - 1)).toBeLessThan(0.0115)
  })

  it('states its mean', () => {
    for (const text of ['250', 'uniform:0,10', 'exponential:5', 'lognormal:10,0.5', 'gamma:8,2', 'choice:1,2,9']) {
      const random = createRandom(3)
      const distribution = parseDistribution(text)
      let sum = 0
      for (let i = 0; i < 50_000; i += 1) sum += distribution.sample(random)
      expect(sum / 50_000 / distribution.mean).toBeCloseTo(1, 1)
    }
  })

  it('reads units where it is told how, but not on pure numbers', () => {
    expect(parseDistribution('normal:2s,100ms', parseDurationMs).mean).toBe(2000)
    expect(() => parseDistribution('lognormal:2s,100ms', parseDurationMs)).toThrow(/sigma '100ms'.*without unit/)
  })

  it('says what is wrong with anything else, and never draws what is no length', () => {
    expect(() => parseDistribution('cauchy:1')).toThrow(/known are fixed, uniform/)
    expect(() => parseDistribution('normal:1')).toThrow(/write normal:mean,deviation/)
    expect(() => parseDistribution('uniform:9,1')).toThrow(/low 9 above high 1/)
    expect(() => parseDistribution('fixed:-3')).toThrow(/number ≥ 0/)
    fc.assert(
      fc.property(fc.constantFrom('normal:3,50', 'gamma:3,3', 'exponential:9'), fc.nat(), (text, seed) => {
        const length = sampleLength(parseDistribution(text), createRandom(seed), 1, 20)
        expect(Number.isInteger(length) && length >= 1 && length <= 20).toBe(true)
      }),
    )
  })
})

describe('words', () => {
  it('are distinct and plain, so that a position in the list names a word', () => {
    expect(new Set(words).size).toBe(words.length)
    expect(words.every((word) => /^[a-z]+$/.test(word))).toBe(true)
    expect(words.length).toBeGreaterThan(800)
  })
})
