import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { forEachArrival, forEachGap, measure, tokensOnTime } from './measures.ts'
import { meetsObjectives, parseObjectives } from './objectives.ts'
import type { RequestRecord } from './record.ts'

/** An answer scheduled at 100 ms and sent at 102 ms. */
function answer(chunksMs: readonly number[], outputTokens: number, more: Partial<RequestRecord> = {}): RequestRecord {
  return {
    session: 0,
    turn: 0,
    classIndex: 0,
    scheduledMs: 100,
    sentMs: 102,
    capWaitMs: 0,
    firstEventMs: chunksMs[0],
    chunksMs: Float64Array.from(chunksMs),
    chunkTokens: undefined,
    endMs: chunksMs.at(-1) ?? 102,
    outcome: 'ok',
    status: 200,
    message: '',
    streamed: true,
    promptTokensAsked: 10,
    outputTokensAsked: outputTokens,
    promptTokens: 10,
    cachedTokens: undefined,
    outputTokens,
    outputTokensFrom: 'usage',
    outputChars: 5 * outputTokens,
    finishReason: 'length',
    ...more,
  }
}

function gapsOf(record: RequestRecord): [number, number][] {
  const gaps: [number, number][] = []
  forEachArrival(record, (gapMs, tokens) => gaps.push([gapMs, tokens]))
  return gaps
}

describe('measure()', () => {
  it('counts from the scheduled send, and shows the other origins beside it', () => {
    const record = answer([150, 160, 190, 200], 4, { firstEventMs: 105 })
    expect(measure(record)).toEqual({
      ttftMs: 50,
      serviceTtftMs: 48,
      firstEventMs: 3,
      e2eMs: 100,
      tpotMs: 50 / 3,
      ntpotMs: 25,
      stallMs: 30,
      outputTokens: 4,
    })
  })

  it('takes the tokens from usage where a chunk holds several', () => {
    const record = answer([150, 180, 210], 7)
    expect(measure(record).tpotMs).toBe(10)
    expect(gapsOf(record)).toEqual([
      [30, 3],
      [30, 3],
    ])
    const told = { chunkTokens: [1, 4, 2] }
    expect(gapsOf(answer([150, 180, 210], 7, told))).toEqual([
      [30, 4],
      [30, 2],
    ])
  })

  it('takes chunks that came in one read for one arrival of their tokens, and keeps their gaps of 0 apart', () => {
    // Six tokens by twos: the first two with TTFT, then two every 20 ms.
    const record = answer([150, 150, 170, 170, 190, 190], 6)
    expect(gapsOf(record)).toEqual([
      [20, 2],
      [20, 2],
    ])
    const gaps: number[] = []
    forEachGap(record, (gapMs) => gaps.push(gapMs))
    expect(gaps).toEqual([0, 20, 0, 20, 0])
    expect(measure(record)).toMatchObject({ stallMs: 20, tpotMs: 8 })
    expect(gapsOf(answer([150, 150], 2))).toEqual([])
  })

  it('has no pace for a single token, nor for an answer in one piece', () => {
    expect(measure(answer([150], 1)).tpotMs).toBeUndefined()
    const whole = measure(answer([900], 20, { streamed: false }))
    expect([whole.tpotMs, whole.stallMs]).toEqual([undefined, undefined])
    expect(meetsObjectives(measure(answer([150], 1)), { ttftMs: 60, tpotMs: 10 })).toBe(true)
    expect(meetsObjectives(whole, { tpotMs: 100 })).toBe(false)
    expect(meetsObjectives(whole, { e2eMs: 800 })).toBe(true)
  })
})

describe('tokensOnTime()', () => {
  it('counts the tokens that a reader had when due', () => {
    // Due: 150, 160, 170, 180. The third comes 5 ms late, the fourth in time again.
    expect(tokensOnTime(answer([140, 160, 175, 180], 4), 50, 10)).toBe(3)
    expect(tokensOnTime(answer([140, 141, 142, 143], 4), 50, 10)).toBe(4)
    expect(tokensOnTime(answer([900, 901, 902, 903], 4), 50, 10)).toBe(0)
    // Two chunks of four: at 181 ms tokens 4 to 7 are due at 190 … 220, so all are in time.
    expect(tokensOnTime(answer([150, 181], 8), 50, 10)).toBe(8)
    // At 205 ms, tokens 4 (190) and 5 (200) are late.
    expect(tokensOnTime(answer([150, 205], 8), 50, 10)).toBe(6)
  })

  it('never grows when tokens come later, and never exceeds what was sent', () => {
    const gaps = fc.array(fc.integer({ min: 0, max: 40 }), { minLength: 1, maxLength: 30 })
    fc.assert(
      fc.property(gaps, fc.integer({ min: 0, max: 200 }), fc.integer({ min: 1, max: 50 }), (steps, delay, tpotMs) => {
        let at = 100
        const times = steps.map((step) => (at += step))
        const early = tokensOnTime(answer(times, times.length), 50, tpotMs)
        const late = tokensOnTime(
          answer(
            times.map((time) => time + delay),
            times.length,
          ),
          50,
          tpotMs,
        )
        expect(late).toBeLessThanOrEqual(early)
        expect(early).toBeLessThanOrEqual(times.length)
      }),
    )
  })
})

describe('parseObjectives()', () => {
  it('reads limits with units and names what it does not know', () => {
    expect(parseObjectives('ttft=300ms,tpot=30ms,stall=1s,e2e=2m')).toEqual({
      ttftMs: 300,
      tpotMs: 30,
      stallMs: 1000,
      e2eMs: 120_000,
    })
    expect(() => parseObjectives('latency=3s')).toThrow(/'latency' is unknown; known are ttft, tpot, stall, e2e/)
    expect(() => parseObjectives('ttft=soon')).toThrow(/needs a time above 0/)
  })
})
