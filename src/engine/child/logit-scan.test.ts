import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { LogitScan } from './logit-scan.ts'

const row = fc
  .array(fc.oneof(fc.float({ noNaN: true }), fc.constant(-Infinity), fc.constantFrom(1, 2, 3)), {
    minLength: 1,
    maxLength: 700,
  })
  .map((values) => Float32Array.from(values))

describe('LogitScan', () => {
  it('finds the same maximum, and the same tokens above any bound, as a look at every logit', () => {
    fc.assert(
      fc.property(row, fc.nat(), (logits, pick) => {
        const scan = new LogitScan(logits.length)
        scan.take(logits)
        expect(scan.best()).toBe(Math.max(...logits))
        const least = logits[pick % logits.length] as number
        if (least === -Infinity) return
        const found: [number, number][] = []
        scan.forEachFrom(least, (token, logit) => found.push([token, logit]))
        const expected = [...logits.entries()].filter(([, logit]) => logit >= least)
        expect(found.sort(([one], [other]) => one - other)).toEqual(expected)
      }),
    )
  })

  it('forgets the row before', () => {
    const scan = new LogitScan(130)
    scan.take(new Float32Array(130).fill(5))
    scan.take(new Float32Array(130).fill(-5))
    expect(scan.best()).toBe(-5)
    const found: number[] = []
    scan.forEachFrom(-5, (token) => found.push(token))
    expect(found).toHaveLength(130)
  })
})
