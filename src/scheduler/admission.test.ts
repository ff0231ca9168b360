import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { TokenmillError, VirtualClock } from '../core/index.ts'
import { createWorkItem } from '../../tests/support/work-item.ts'
import { Admission, type Permit } from './admission.ts'
import { createFifoQueue } from './queue.ts'

function create(capacity: number, maxQueue: number, maxQueueWaitMs = 60_000) {
  const clock = new VirtualClock()
  const limits = { capacity, maxQueue, maxQueueWaitMs }
  const admission = new Admission(
    'm',
    () => limits,
    createFifoQueue(() => limits.maxQueue),
    clock,
  )
  return { clock, admission }
}

const sequences = (count: number) => createWorkItem({ sequences: count })
const never = new AbortController().signal

describe('Admission', () => {
  it('admits up to the capacity, queues in order, and refuses past maxQueue with position and a wait', async () => {
    const { clock, admission } = create(1, 2)
    const first = await admission.admit(sequences(1), never)
    const order: string[] = []
    const second = admission.admit(sequences(1), never).then((permit) => (order.push('second'), permit))
    const third = admission.admit(sequences(1), never).then((permit) => (order.push('third'), permit))
    await clock.advance(4000)
    first.release()
    const permit = await second
    expect(permit.queuedMs).toBe(4000)
    void admission.admit(sequences(1), never)
    const refused = await admission.admit(sequences(1), never).catch((error: unknown) => error)
    expect(refused).toBeInstanceOf(TokenmillError)
    expect(refused).toMatchObject({
      code: 'queue_full',
      details: { limit: 'maxQueue', maximum: 2, queuePosition: 2, retryAfterMs: 6000 },
    })
    permit.release()
    await third
    expect(order).toEqual(['second', 'third'])
  })

  it('lets a request leave the queue when its signal aborts, and admits those behind a wide one', async () => {
    const { admission } = create(2, 8)
    const first = await admission.admit(sequences(1), never)
    const wide = new AbortController()
    const blocked = admission.admit(sequences(2), wide.signal)
    const narrow = admission.admit(sequences(1), never)
    expect(admission.waiting).toBe(2)
    wide.abort(new TokenmillError('cancelled', 'gone'))
    await expect(blocked).rejects.toMatchObject({ code: 'cancelled' })
    const permit = await narrow
    expect(admission).toMatchObject({ running: 2, waiting: 0 })
    permit.release()
    first.release()
    expect(admission.running).toBe(0)
  })

  it('ends a wait after maxQueueWaitMs with queue_timeout', async () => {
    const { clock, admission } = create(1, 8, 1000)
    await admission.admit(sequences(1), never)
    const waiting = admission.admit(sequences(1), never)
    const outcome = expect(waiting).rejects.toMatchObject({ code: 'queue_timeout' })
    await clock.advance(1000)
    await outcome
    expect(admission.waiting).toBe(0)
  })

  it('runs a request wider than the engine, alone', async () => {
    const { admission } = create(2, 8)
    const wide = await admission.admit(sequences(5), never)
    const next = admission.admit(sequences(1), never)
    expect(admission.waiting).toBe(1)
    wide.release()
    await next
    expect(admission.running).toBe(1)
  })

  it('keeps capacity, order and counts under any interleaving of arrivals, releases and departures', async () => {
    const step = fc.oneof(
      fc.record({ kind: fc.constant('arrive' as const), sequences: fc.integer({ min: 1, max: 3 }) }),
      fc.record({ kind: fc.constant('release' as const), at: fc.nat(9) }),
      fc.record({ kind: fc.constant('leave' as const), at: fc.nat(9) }),
    )
    const steps = fc.array(step, { maxLength: 40 })
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 4 }),
        fc.integer({ min: 0, max: 5 }),
        steps,
        async (capacity, maxQueue, steps) => {
          const { clock, admission } = create(capacity, maxQueue)
          const held: { permit: Permit; sequences: number }[] = []
          const waiting: { id: number; abort: AbortController }[] = []
          const started: number[] = []
          let id = 0
          for (const step of steps) {
            if (step.kind === 'arrive') {
              const entry = { id: id++, abort: new AbortController() }
              waiting.push(entry)
              admission.admit(sequences(step.sequences), entry.abort.signal).then(
                (permit) => {
                  started.push(entry.id)
                  held.push({ permit, sequences: step.sequences })
                  waiting.splice(waiting.indexOf(entry), 1)
                },
                () => waiting.splice(waiting.indexOf(entry), 1),
              )
            } else if (step.kind === 'release') {
              const [gone] = held.splice(step.at, 1)
              gone?.permit.release()
              gone?.permit.release()
            } else {
              waiting[step.at]?.abort.abort(new Error('left'))
            }
            await clock.advance(1)
            const running = held.reduce((sum, each) => sum + each.sequences, 0)
            expect(admission.running).toBe(running)
            expect(running <= capacity || held.length === 1).toBe(true)
            expect(admission.waiting).toBe(waiting.length)
            expect(admission.waiting).toBeLessThanOrEqual(maxQueue)
            if (waiting.length > 0) expect(running).toBeGreaterThan(0)
          }
          expect(started).toEqual(started.toSorted((a, b) => a - b))
        },
      ),
      { numRuns: 200 },
    )
  })
})
