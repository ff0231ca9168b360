import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { KvBlocks, type KvBlock } from './kv-blocks.ts'

/** A prompt by the contents of its blocks: equal beginnings have equal hashes. */
function hashesOf(contents: readonly number[]): (block: number) => number {
  return (block) => contents.slice(0, block + 1).reduce((hash, content) => (hash * 31 + content + 1) % 1_000_003, 7)
}

describe('KvBlocks', () => {
  it('finds complete blocks again, shares them, and evicts the end of the oldest prefix first', () => {
    const blocks = new KvBlocks({ blockTokens: 4, blocks: 4, cachedBlocks: undefined })
    const hashOf = hashesOf([1, 2, 3])
    const first: KvBlock[] = []
    expect(blocks.grow(first, 12)).toBe(true)
    for (const [index, block] of first.entries()) blocks.complete(block, hashOf(index))
    const second = blocks.takePrefix(hashOf, 2)
    expect(blocks.used).toBe(3)
    blocks.release(first)
    expect([blocks.used, blocks.idle]).toEqual([2, 1])
    blocks.release(second)
    expect([blocks.used, blocks.idle]).toEqual([0, 3])
    // Two free blocks are wanted, one is empty: the third block of the prefix gives way, the beginning stays.
    const other: KvBlock[] = []
    expect(blocks.grow(other, 8)).toBe(true)
    expect(blocks.takePrefix(hashOf, 3)).toHaveLength(2)
    expect(blocks.grow(other, 12)).toBe(false)
  })

  it('never holds more than the pool, and counts every block exactly once, whatever sequences do', () => {
    const step = fc.record({
      kind: fc.constantFrom('take', 'grow', 'complete', 'release'),
      sequence: fc.nat(4),
      tokens: fc.integer({ min: 1, max: 40 }),
    })
    const sizes = fc.record({
      blocks: fc.integer({ min: 1, max: 12 }),
      cachedBlocks: fc.option(fc.nat(6), { nil: undefined }),
    })
    const contents = fc.array(fc.array(fc.nat(1), { minLength: 12, maxLength: 12 }), { minLength: 5, maxLength: 5 })
    fc.assert(
      fc.property(sizes, contents, fc.array(step, { maxLength: 80 }), (size, contents, steps) => {
        const pool = new KvBlocks({ blockTokens: 4, ...size })
        const lists: KvBlock[][] = contents.map(() => [])
        for (const { kind, sequence, tokens } of steps) {
          const list = lists[sequence] ?? []
          const hashOf = hashesOf(contents[sequence] ?? [])
          if (kind === 'take' && list.length === 0) list.push(...pool.takePrefix(hashOf, Math.ceil(tokens / 4)))
          else if (kind === 'grow') pool.grow(list, tokens)
          else if (kind === 'complete') for (const [index, block] of list.entries()) pool.complete(block, hashOf(index))
          else if (kind === 'release') pool.release(list)
          expect(pool.used).toBe(new Set(lists.flat()).size)
          expect(pool.used).toBeLessThanOrEqual(size.blocks)
          expect(pool.idle).toBeLessThanOrEqual(size.cachedBlocks ?? size.blocks - pool.used)
        }
        for (const list of lists) pool.release(list)
        expect(pool.used).toBe(0)
      }),
      { seed: 2, numRuns: 500 },
    )
  })
})
