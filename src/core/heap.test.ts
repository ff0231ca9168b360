import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Heap } from './heap.ts'

describe('Heap', () => {
  it('gives the values in order, whatever was pushed, popped, moved and dropped before', () => {
    const operation = fc.oneof(
      fc.record({ kind: fc.constant('push' as const), value: fc.nat(1000) }),
      fc.record({ kind: fc.constant('move' as const), value: fc.nat(1000) }),
      fc.constant({ kind: 'pop' as const, value: 0 }),
      fc.constant({ kind: 'keepEven' as const, value: 0 }),
    )
    fc.assert(
      fc.property(fc.array(operation, { maxLength: 60 }), (operations) => {
        const heap = new Heap<{ value: number }>((a, b) => a.value < b.value)
        let model: number[] = []
        for (const { kind, value } of operations) {
          if (kind === 'push') {
            heap.push({ value })
            model.push(value)
          } else if (kind === 'move') {
            const first = heap.peek()
            if (first === undefined) continue
            first.value += value
            heap.settleFirst()
            model[0] = (model[0] ?? 0) + value
          } else if (kind === 'pop') expect(heap.pop()?.value).toBe(model.shift())
          else {
            heap.keep((each) => each.value % 2 === 0)
            model = model.filter((each) => each % 2 === 0)
          }
          model.sort((a, b) => a - b)
          expect(heap.size).toBe(model.length)
          expect(heap.peek()?.value).toBe(model[0])
        }
        expect(model.map(() => heap.pop()?.value)).toEqual(model)
      }),
      { seed: 1, numRuns: 500 },
    )
  })
})
