import { describe, expect, it } from 'vitest'
import type { RunResult } from '../result.ts'
import { compareRuns, verdictOf } from './ratios.ts'

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
