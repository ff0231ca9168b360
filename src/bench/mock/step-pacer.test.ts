import { describe, expect, it } from 'vitest'
import { createRandom, VirtualClock } from '../../core/index.ts'
import { parseSteps } from './settings.ts'
import { StepPacer, type StepLatency } from './step-pacer.ts'

const open = { maxRunning: 64, maxQueue: 64, kvTokens: 1_000_000 }

function pacer(model: string, limits: Partial<StepLatency> = {}): { clock: VirtualClock; pacer: StepPacer } {
  const clock = new VirtualClock()
  return { clock, pacer: new StepPacer(clock, { ...parseSteps(model), ...open, ...limits }) }
}

function sequence(clock: VirtualClock, promptTokens: number, outputTokens: number, cachedTokens = 0) {
  const times: number[] = []
  const random = createRandom(1)
  return { promptTokens, cachedTokens, outputTokens, random, times, onToken: () => void times.push(clock.now()) }
}

describe('StepPacer', () => {
  it('gives the first token after the prefill steps and each next one after a decode step', async () => {
    const { clock, pacer: steps } = pacer('base=10ms,seq=1ms,prefill=0.1ms,chunk=100')
    const only = sequence(clock, 250, 3)
    steps.start(only)
    await clock.advance(1000)
    // Chunks of 100, 100 and 50 tokens: 20 + 20 + 15 ms; then 11 ms a token.
    expect(only.times).toEqual([55, 66, 77])
  })

  it('makes every stream slower with more of them, and stalls them while a long prompt is computed', async () => {
    const { clock, pacer: steps } = pacer('base=10ms,seq=2ms,prefill=1ms,chunk=50')
    const first = sequence(clock, 10, 100)
    steps.start(first)
    await clock.advance(60)
    const before = (first.times[2] ?? 0) - (first.times[1] ?? 0)
    steps.start(sequence(clock, 50, 100))
    await clock.advance(200)
    const gaps = first.times.slice(1).map((time, index) => time - (first.times[index] ?? 0))
    expect(before).toBe(12)
    expect(Math.max(...gaps)).toBe(62)
    expect(gaps.at(-1)).toBe(14)
  })

  it('skips what the prefix cache holds', async () => {
    const { clock, pacer: steps } = pacer('base=10ms,prefill=1ms')
    const cached = sequence(clock, 100, 1, 90)
    steps.start(cached)
    await clock.advance(100)
    expect(cached.times).toEqual([20])
  })

  it('preempts the newest when KV cells run out, and still gives every token of every sequence', async () => {
    const { clock, pacer: steps } = pacer('base=1ms,prefill=0.01ms', { kvTokens: 100 })
    const all = Array.from({ length: 4 }, () => sequence(clock, 20, 60))
    for (const each of all) steps.start(each)
    await clock.advance(5000)
    expect(all.map((each) => each.times.length)).toEqual([60, 60, 60, 60])
    expect(steps.preemptions).toBeGreaterThan(0)
    expect(steps.running + steps.waiting).toBe(0)
  })

  it('refuses beyond its line and forgets the cancelled', async () => {
    const { clock, pacer: steps } = pacer('base=1ms', { maxRunning: 1, maxQueue: 1 })
    const [a, b, c] = [sequence(clock, 1, 5), sequence(clock, 1, 5), sequence(clock, 1, 5)]
    expect([a, b, c].map((each) => steps.start(each))).toEqual([true, true, false])
    steps.cancel(a)
    await clock.advance(50)
    expect(a.times).toEqual([])
    expect(b.times).toHaveLength(5)
  })
})
