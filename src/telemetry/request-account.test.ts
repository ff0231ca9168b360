import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { TokenmillError, VirtualClock } from '../core/index.ts'
import type { GenerationEvent, UsageRecord } from '../inference/index.ts'
import { RequestAccount } from './request-account.ts'

function open() {
  const clock = new VirtualClock()
  const records: UsageRecord[] = []
  const account = new RequestAccount({ requestId: 'r', operation: 'POST /x' }, clock, (record) => records.push(record))
  return { clock, records, account }
}

const text = (index = 0): GenerationEvent => ({ type: 'text', index, text: 'a', tokens: 1 })

describe('RequestAccount', () => {
  it('times first token, mean gap and longest gap', async () => {
    const { clock, records, account } = open()
    const gaps: number[] = []
    account.observe({ firstToken: (ms) => gaps.push(-ms), gap: (ms) => gaps.push(ms) })
    await clock.advance(5)
    account.admitted(5)
    await clock.advance(1)
    account.engineCalled()
    expect(account.overheadMs).toBe(1)
    account.event(0, { type: 'prefilled', promptTokens: 7, cachedTokens: 3 })
    for (const waitMs of [4, 10, 30]) {
      await clock.advance(waitMs)
      account.event(0, text())
    }
    account.settle()
    expect(gaps).toEqual([-10, 10, 30])
    expect(records).toMatchObject([
      {
        promptTokens: 7,
        cachedTokens: 3,
        completionTokens: 3,
        admittedAfterMs: 5,
        ttftMs: 10,
        tpotMs: 20,
        stallMs: 30,
        durationMs: 50,
      },
    ])
  })

  it('measures the gap of each sequence by itself', async () => {
    const { clock, records, account } = open()
    account.describe({ sequences: 2 })
    for (let step = 0; step < 3; step += 1) {
      await clock.advance(10)
      account.event(0, text(0))
      account.event(0, text(1))
    }
    account.settle()
    expect(records).toMatchObject([{ completionTokens: 6, ttftMs: 10, tpotMs: 10, stallMs: 10 }])
  })

  it("takes the engine's own count where it gives one, and keeps unknown unknown", () => {
    const { records, account } = open()
    account.event(0, text())
    account.event(1, text())
    account.event(0, {
      type: 'usage',
      usage: { promptTokens: 9, cachedTokens: undefined, completionTokens: 4, reasoningTokens: 1 },
    })
    account.settle(new TokenmillError('cancelled', 'gone'))
    expect(records).toMatchObject([
      { promptTokens: 9, completionTokens: 5, outcome: 'cancelled', errorCode: 'cancelled' },
    ])
    expect(records[0]?.cachedTokens).toBeUndefined()
  })

  it('gives exactly one record whatever happens in whatever order, and counts nothing after it', async () => {
    const step = fc.constantFrom('admitted', 'head', 'prefilled', 'text', 'usage', 'wait', 'complete', 'fail', 'cancel')
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 30 }), async (steps) => {
        const { clock, records, account } = open()
        let tokens = 0
        let ending: string | undefined
        const end = (outcome: string, error?: TokenmillError) => {
          expect(account.settle(error)).toBe(ending === undefined)
          ending ??= outcome
        }
        for (const each of steps) {
          if (each === 'admitted') account.admitted(1)
          else if (each === 'head') account.head(200)
          else if (each === 'wait') await clock.advance(3)
          else if (each === 'complete') end('completed')
          else if (each === 'fail') end('failed', new TokenmillError('engine_failed', 'x'))
          else if (each === 'cancel') end('cancelled', new TokenmillError('cancelled', 'x'))
          else if (each === 'prefilled') account.event(0, { type: 'prefilled', promptTokens: 2, cachedTokens: 0 })
          else if (each === 'text') {
            account.event(0, text())
            if (ending === undefined) tokens += 1
          } else {
            const usage = { promptTokens: 2, cachedTokens: 0, completionTokens: tokens, reasoningTokens: undefined }
            account.event(0, { type: 'usage', usage })
          }
        }
        end('completed')
        expect(records).toHaveLength(1)
        expect(records[0]).toMatchObject({ outcome: ending, completionTokens: tokens })
        expect(account.settled).toBe(true)
      }),
      { numRuns: 300 },
    )
  })
})
