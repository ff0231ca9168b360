import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { plainWordTokens, PromptText } from './prompt-text.ts'

/** Words that two texts share from the start. */
function sharedWords(a: string, b: string): number {
  const [left, right] = [a.split(' '), b.split(' ')]
  const differs = left.findIndex((word, index) => word !== right[index])
  return differs < 0 ? left.length : differs
}

describe('PromptText', () => {
  it('shares exactly the blocks that two requests share', () => {
    const text = new PromptText(1, plainWordTokens)
    const block = fc.integer({ min: 0, max: 200_000 })
    const ids = fc.uniqueArray(block, { minLength: 1, maxLength: 6 })
    fc.assert(
      fc.property(ids, ids, ids, fc.integer({ min: 1, max: 64 }), (common, left, right, partial) => {
        fc.pre(left[0] !== right[0])
        const write = (tail: number[]): string => {
          const all = [...common, ...tail]
          return text.blocks(all, (all.length - 1) * 64 + partial, 64)
        }
        const [a, b] = [write(left), write(right)]
        const shared = sharedWords(a, b)
        expect(shared).toBeGreaterThanOrEqual(common.length * 64)
        // Two numbers may open with equal words; they part while they are spelt out, or soon after by chance.
        expect(shared).toBeLessThan(common.length * 64 + 4)
        expect(a.split(' ')).toHaveLength((common.length + left.length - 1) * 64 + partial)
      }),
    )
  })

  it('writes unique texts of the wanted length that part at once, and the same ones under the same seed', () => {
    const text = new PromptText(3, { ...plainWordTokens, tokensPerWord: 1.25 })
    const all = Array.from({ length: 2000 }, (_, stream) => text.unique(stream, 100))
    expect(all.every((each) => each.split(' ').length === 80)).toBe(true)
    const openings = new Set(all.map((each) => each.split(' ').slice(0, 4).join(' ')))
    expect(openings.size).toBe(2000)
    expect(new PromptText(3, { ...plainWordTokens, tokensPerWord: 1.25 }).unique(7, 100)).toBe(all[7])
    expect(new PromptText(4, plainWordTokens).unique(7, 100)).not.toBe(all[7])
  })

  it('fills what the named blocks leave open with text of its own', () => {
    const text = new PromptText(1, plainWordTokens)
    expect(text.blocks([4], 100, 64).split(' ')).toHaveLength(100)
    expect(text.blocks([4, 5, 6], 100, 64).split(' ')).toHaveLength(100)
  })
})
