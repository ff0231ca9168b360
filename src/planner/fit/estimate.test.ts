import { describe, expect, it } from 'vitest'
import { createRandom } from '../../core/index.ts'
import { estimate, type FitRow, solveDamped } from './estimate.ts'
import { coefficientsOf } from '../timing/coefficient-levels.ts'
import type { Coefficients } from '../timing/coefficients.ts'
import { priors } from '../timing/priors.ts'

/** Rows of a small world: time = step·a + kernel·b, measured with the given coefficients. */
function rowsOf(engine: string, step: number, kernel: number, count: number): FitRow[] {
  const random = createRandom(7)
  return Array.from({ length: count }, () => {
    const a = 1 + 10 * random()
    const b = 1000 * random()
    const measured = step * a + kernel * b
    return {
      engine,
      generation: 'hopper',
      offsetKey: undefined,
      weights: [1],
      residuals: (c: Coefficients) => [Math.log((c.step * a + c.kernel * b) / measured)],
    }
  })
}

describe('estimate()', () => {
  it('recovers the coefficients behind exact measurements', () => {
    const fit = estimate(rowsOf('vllm', 0.8, 0.0045, 80), priors, 30)
    const found = coefficientsOf(priors, fit.deviations, 'vllm', 'hopper')
    // The priors pull a little, the more the fewer rows.
    expect(Math.abs(found.step / 0.8 - 1)).toBeLessThan(0.05)
    expect(Math.abs(found.kernel / 0.0045 - 1)).toBeLessThan(0.03)
  })

  it('lets an engine without rows borrow from the others, in part', () => {
    const fit = estimate(rowsOf('vllm', 1, 0.006, 80), priors, 30)
    const { kernel } = coefficientsOf(priors, fit.deviations, 'sglang', 'cdna3')
    expect(kernel).toBeGreaterThan(priors.kernel.value)
    expect(kernel).toBeLessThan(0.006)
  })

  it('is not bent by a few wild rows', () => {
    const rows = rowsOf('vllm', 1, 0.004, 60)
    const wild = rowsOf('vllm', 10, 0.04, 4)
    const clean = coefficientsOf(priors, estimate(rows, priors, 30).deviations, 'vllm', 'hopper')
    const mixed = coefficientsOf(priors, estimate([...rows, ...wild], priors, 30).deviations, 'vllm', 'hopper')
    expect(Math.abs(Math.log(mixed.kernel / clean.kernel))).toBeLessThan(0.1)
  })
})

describe('solveDamped()', () => {
  it('solves a system by hand', () => {
    const a = [Float64Array.of(4, 2), Float64Array.of(2, 3)]
    const [x, y] = solveDamped(a, Float64Array.of(8, 7), 0)
    expect(x).toBeCloseTo(1.25, 9)
    expect(y).toBeCloseTo(1.5, 9)
  })
})
