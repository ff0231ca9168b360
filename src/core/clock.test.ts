import { describe, expect, it } from 'vitest'
import { VirtualClock } from './clock.ts'
import { createRandom } from './random.ts'

describe('VirtualClock', () => {
  it('runs what falls due in order of time, then of scheduling, and stands still otherwise', async () => {
    const clock = new VirtualClock()
    const seen: string[] = []
    clock.schedule(20, () => seen.push(`c@${clock.now()}`))
    clock.schedule(10, () => seen.push(`a@${clock.now()}`))
    clock.schedule(10, () => seen.push(`b@${clock.now()}`))
    await clock.advance(15)
    expect(seen).toEqual(['a@10', 'b@10'])
    expect(clock.now()).toBe(15)
    await clock.advance(5)
    expect(seen).toEqual(['a@10', 'b@10', 'c@20'])
  })

  it('does not call back what was cancelled', async () => {
    const clock = new VirtualClock()
    let called = false
    const cancel = clock.schedule(5, () => {
      called = true
    })
    cancel()
    await clock.advance(10)
    expect(called).toBe(false)
  })

  it('runs what a callback schedules within the same advance', async () => {
    const clock = new VirtualClock()
    const seen: number[] = []
    const tick = () => {
      seen.push(clock.now())
      clock.schedule(4, tick)
    }
    clock.schedule(4, tick)
    await clock.advance(13)
    expect(seen).toEqual([4, 8, 12])
  })

  it('lets awaiting code continue between two due times', async () => {
    const clock = new VirtualClock()
    const seen: string[] = []
    const sleeper = async (name: string, ms: number) => {
      await new Promise<void>((resolve) => clock.schedule(ms, resolve))
      seen.push(`${name}@${clock.now()}`)
      await new Promise<void>((resolve) => clock.schedule(ms, resolve))
      seen.push(`${name}@${clock.now()}`)
    }
    const both = Promise.all([sleeper('a', 3), sleeper('b', 5)])
    await clock.advance(20)
    await both
    expect(seen).toEqual(['a@3', 'b@5', 'a@6', 'b@10'])
  })

  it('carries a hundred thousand timers, and forgets those that were cancelled', async () => {
    const clock = new VirtualClock()
    const random = createRandom(5)
    const seen: number[] = []
    const cancels = Array.from({ length: 100_000 }, () => {
      const atMs = Math.floor(random() * 60_000)
      return clock.schedule(atMs, () => seen.push(atMs))
    })
    for (const cancel of cancels.slice(1000)) cancel()
    cancels[5000]?.()
    expect(clock.pending).toBe(1000)
    await clock.advance(60_000)
    expect(seen).toEqual([...seen].sort((a, b) => a - b))
    expect(seen).toHaveLength(1000)
    cancels[0]?.()
    expect(clock.pending).toBe(0)
  })
})
