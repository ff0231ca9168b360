import { describe, expect, it } from 'vitest'
import type { LoopEvent } from '../messages.ts'
import { Outbox } from './outbox.ts'

const output = (text: string): LoopEvent => ({ type: 'output', key: 1, index: 0, text, tokens: 1, logprobs: undefined })
const prefilled: LoopEvent = {
  type: 'prefilled',
  key: 1,
  promptTokens: 3,
  cachedTokens: 0,
  promptLogprobs: undefined,
}

describe('Outbox', () => {
  it('lets tokens of short steps leave together, none later than the interval', () => {
    const outbox = new Outbox(10)
    const sentAtMs: number[] = []
    const waits: number[] = []
    let heldSinceMs: number[] = []
    for (let nowMs = 0; nowMs < 300; nowMs += 3) {
      heldSinceMs.push(nowMs)
      if (!outbox.add([output('a')], nowMs, 3)) continue
      expect(outbox.take(nowMs)).toHaveLength(heldSinceMs.length)
      waits.push(...heldSinceMs.map((sinceMs) => nowMs - sinceMs))
      heldSinceMs = []
      sentAtMs.push(nowMs)
    }
    expect(Math.max(...waits)).toBeLessThanOrEqual(10)
    expect(sentAtMs.slice(0, 4)).toEqual([0, 9, 18, 27])
  })

  it('keeps nothing back where a step takes as long as the interval', () => {
    const outbox = new Outbox(10)
    for (const nowMs of [0, 12, 24]) {
      expect(outbox.add([output('a')], nowMs, 12)).toBe(true)
      outbox.take(nowMs)
    }
  })

  it('keeps no first token, no end and no failure back', () => {
    const outbox = new Outbox(10)
    outbox.add([], 0, 1)
    outbox.take(0)
    expect(outbox.add([output('a')], 1, 1)).toBe(false)
    expect(outbox.add([prefilled, output('b')], 2, 1)).toBe(true)
    expect(outbox.take(2)).toEqual([output('a'), prefilled, output('b')])
    const finished: LoopEvent = {
      type: 'finished',
      key: 1,
      index: 0,
      reason: 'stop',
      stopReason: undefined,
      last: true,
    }
    expect(outbox.add([finished], 3, 1)).toBe(true)
  })
})
