import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { PrefixTree, type Holder } from './prefix-tree.ts'

interface GrowingHolder extends Holder {
  length: number
  computed: number
}

function hold(tokens: readonly number[], stream = 0): GrowingHolder {
  const room = new Int32Array(tokens.length + 16)
  room.set(tokens)
  return { tokens: room, length: tokens.length, computed: tokens.length, adapter: 0, stream }
}

function common(one: Holder, tokens: Int32Array, length: number): number {
  let at = 0
  while (at < one.length && at < length && one.tokens[at] === tokens[at]) at += 1
  return at
}

describe('PrefixTree', () => {
  it('finds who shares how much, longest and shorter ones alike', () => {
    const tree = new PrefixTree()
    const [short, long, other] = [hold([1, 2, 3]), hold([1, 2, 3, 4, 5]), hold([9])]
    for (const holder of [short, long, other]) tree.insert(holder)
    const found = tree.match(Int32Array.of(1, 2, 3, 4, 7), 5)
    expect(found).toHaveLength(2)
    expect(found).toContainEqual({ holder: short, common: 3 })
    expect(found).toContainEqual({ holder: long, common: 4 })
  })

  it('counts the cells of a shared prefix once', () => {
    const tree = new PrefixTree()
    for (const tail of [[4], [5, 6], []]) tree.insert(hold([1, 2, 3, ...tail]))
    expect(tree.countCells(() => true)).toBe(3 + 1 + 2)
  })

  it('equals a search through all holders, whatever was inserted, grown and removed', () => {
    const token = fc.integer({ min: 1, max: 3 })
    const operation = fc.oneof(
      fc.record({ kind: fc.constant('insert' as const), tokens: fc.array(token, { minLength: 1, maxLength: 8 }) }),
      fc.record({ kind: fc.constant('grow' as const), at: fc.nat(9), token }),
      fc.record({ kind: fc.constant('remove' as const), at: fc.nat(9) }),
      fc.record({ kind: fc.constant('match' as const), tokens: fc.array(token, { maxLength: 10 }) }),
    )
    fc.assert(
      fc.property(fc.array(operation, { maxLength: 60 }), (operations) => {
        const tree = new PrefixTree()
        const holders: GrowingHolder[] = []
        for (const act of operations) {
          if (act.kind === 'insert') {
            const holder = hold(act.tokens)
            holders.push(holder)
            tree.insert(holder)
          } else if (act.kind === 'grow') {
            const holder = holders[act.at]
            if (holder === undefined || holder.length === holder.tokens.length) continue
            const { tokens } = holder
            tokens[holder.length] = act.token
            holder.length += 1
          } else if (act.kind === 'remove') {
            for (const holder of holders.splice(act.at, 1)) tree.remove(holder)
          } else {
            const tokens = Int32Array.from(act.tokens)
            const expected = holders
              .map((holder) => ({ holder, common: common(holder, tokens, tokens.length) }))
              .filter((match) => match.common > 0)
            const found = tree.match(tokens, tokens.length)
            expect(found).toHaveLength(expected.length)
            for (const match of expected) expect(found).toContainEqual(match)
          }
          expect(tree.size).toBe(holders.length)
        }
      }),
    )
  })
})
