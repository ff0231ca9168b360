import { describe, expect, it } from 'vitest'
import { ThreadGovernor } from './thread-governor.ts'

/** A machine of two cores: one thread takes 5 ms a step, two take 3.5, or `contendedMs` beside a busy neighbour. */
function run(governor: ThreadGovernor, seconds: number, contendedMs: number | undefined, fromMs = 0) {
  let nowMs = fromMs
  let steps = 0
  const used = new Map<number, number>()
  while (nowMs < fromMs + seconds * 1000) {
    const { threads } = governor
    const ms = threads === 1 ? 5 : (contendedMs ?? 3.5)
    // A few per cent of noise, the same in every run.
    const tookMs = ms * (1 + 0.04 * Math.sin(steps))
    nowMs += tookMs
    steps += 1
    used.set(threads, (used.get(threads) ?? 0) + tookMs)
    governor.observe(1, tookMs, nowMs)
  }
  return { steps, nowMs, msOn: (threads: number) => used.get(threads) ?? 0 }
}

describe('ThreadGovernor', () => {
  it('uses all threads on a quiet machine, but for a trial now and then', () => {
    const { steps, msOn } = run(new ThreadGovernor(2), 60, undefined)
    expect(msOn(1)).toBeLessThan(60_000 * 0.01)
    expect(steps).toBeGreaterThan((60_000 / 3.5) * 0.98)
  })

  it('leaves a core to a busy neighbour soon, and takes it back when the neighbour has gone', () => {
    const governor = new ThreadGovernor(2)
    const quiet = run(governor, 30, undefined)
    const busy = run(governor, 30, 100, quiet.nowMs)
    expect(busy.steps).toBeGreaterThan((30_000 / 5) * 0.9)
    const calm = run(governor, 30, undefined, busy.nowMs)
    expect(calm.msOn(2)).toBeGreaterThan(30_000 * 0.75)
  })

  it('finds the faster number where the neighbour was there first', () => {
    const { steps } = run(new ThreadGovernor(2), 30, 100)
    expect(steps).toBeGreaterThan((30_000 / 5) * 0.9)
  })

  it('is not moved by a single stall, however long', () => {
    const governor = new ThreadGovernor(2)
    let { nowMs } = run(governor, 1, undefined)
    let onOne = 0
    for (let step = 0; step < 2000; step += 1) {
      const ms = step % 50 === 0 ? 200 : governor.threads === 1 ? 5 : 3.5
      nowMs += ms
      governor.observe(1, ms, nowMs)
      if (governor.threads === 1) onOne += 1
    }
    expect(onOne).toBeLessThan(2000 * 0.02)
  })

  it('keeps more threads than one where those are faster, whatever disturbs', () => {
    const governor = new ThreadGovernor(2)
    const quiet = run(governor, 10, undefined)
    // Everything got slower, but two threads still are the better choice.
    const { msOn } = run(governor, 30, 4.5, quiet.nowMs)
    expect(msOn(2)).toBeGreaterThan(30_000 * 0.95)
  })

  it('compares steps of unlike sizes by what is usual for each', () => {
    const governor = new ThreadGovernor(4)
    let nowMs = 0
    let below = 0
    for (let step = 0; step < 4000; step += 1) {
      const sequences = 1 + (step % 16)
      const ms = ((3 + sequences) * 4) / governor.threads
      nowMs += ms
      if (governor.threads < 4) below += 1
      governor.observe(sequences, ms, nowMs)
    }
    expect(below).toBeLessThan(40)
  })

  it('makes no step longer beside prompts, unless steps are slow', () => {
    const governor = new ThreadGovernor(2)
    let { nowMs } = run(governor, 1, undefined)
    while (governor.threads === 1) governor.observe(1, 5, (nowMs += 5))
    for (let step = 0; step < 3000; step += 1) {
      governor.observe(1, 3.5, (nowMs += 35), false)
      expect(governor.threads).toBe(2)
    }
    for (let step = 0; step < 20 && governor.threads === 2; step += 1) governor.observe(1, 100, (nowMs += 130), false)
    expect(governor.threads).toBe(1)
  })

  it('tries fewer threads on steps that it can compare, and leaves prompts alone', () => {
    const governor = new ThreadGovernor(2)
    let { nowMs } = run(governor, 1, undefined)
    while (governor.threads === 2) governor.observe(1, 3.5, (nowMs += 3.5))
    expect(governor.settledThreads).toBe(2)
    // Never seen with nine sequences: says nothing of one thread or two.
    governor.observe(9, 20, (nowMs += 20))
    expect(governor.threads).toBe(1)
    for (let step = 0; step < 3; step += 1) governor.observe(1, 5, (nowMs += 5))
    expect([governor.threads, governor.settledThreads]).toEqual([2, 2])
  })

  it('has nothing to choose with one thread', () => {
    const governor = new ThreadGovernor(1)
    for (let nowMs = 0; nowMs < 100; nowMs += 1) governor.observe(1, nowMs, nowMs)
    expect(governor.threads).toBe(1)
  })
})
