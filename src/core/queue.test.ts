import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { BoundedQueue, type QueueEntry } from './queue.ts'

describe('BoundedQueue', () => {
  it('refuses the value past its capacity and takes one again after a shift', () => {
    const queue = new BoundedQueue<number>(2)
    expect(queue.push(1)).toBeDefined()
    expect(queue.push(2)).toBeDefined()
    expect(queue.push(3)).toBeUndefined()
    expect(queue.shift()).toBe(1)
    expect(queue.push(3)).toBeDefined()
    expect([...queue]).toEqual([2, 3])
  })

  it('behaves as a bounded array under any interleaving of push, shift and remove', () => {
    const operation = fc.oneof(
      fc.record({ kind: fc.constant('push' as const), value: fc.integer() }),
      fc.record({ kind: fc.constant('shift' as const) }),
      fc.record({ kind: fc.constant('remove' as const), at: fc.nat(9) }),
    )
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 6 }), fc.array(operation, { maxLength: 60 }), (capacity, operations) => {
        const queue = new BoundedQueue<number>(capacity)
        const handles: QueueEntry<number>[] = []
        const gone: QueueEntry<number>[] = []
        for (const step of operations) {
          if (step.kind === 'push') {
            const handle = queue.push(step.value)
            expect(handle === undefined).toBe(handles.length === capacity)
            if (handle !== undefined) handles.push(handle)
          } else if (step.kind === 'shift') {
            const first = handles.shift()
            if (first !== undefined) gone.push(first)
            expect(queue.shift()).toBe(first?.value)
          } else {
            const [handle] = handles.splice(step.at, 1)
            if (handle !== undefined) {
              expect(queue.remove(handle)).toBe(true)
              gone.push(handle)
            }
          }
          for (const handle of gone) expect(queue.remove(handle)).toBe(false)
          expect(queue.size).toBe(handles.length)
          expect([...queue]).toEqual(handles.map((handle) => handle.value))
        }
      }),
    )
  })
})
