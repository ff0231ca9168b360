import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createRandom } from '../core/index.ts'
import { ditherTrace, parseTrace } from './trace.ts'

const limits = { maxTraceRequests: 1000 }

/** First lines of Mooncake's conversation trace (kvcache-ai/Mooncake, Apache-2.0), hash lists cut. */
const mooncake = [
  '{"timestamp": 0, "input_length": 6758, "output_length": 500, "hash_ids": [0, 1, 2, 3]}',
  '{"timestamp": 0, "input_length": 7322, "output_length": 490, "hash_ids": [0, 14, 15]}',
  '{"timestamp": 3000, "input_length": 1100, "output_length": 794, "hash_ids": [0, 28, 29]}',
]

describe('parseTrace()', () => {
  it('reads Mooncake’s lines with their block identities', () => {
    const trace = parseTrace(mooncake, limits)
    expect(trace[2]).toEqual({
      atMs: 3000,
      pauseMs: undefined,
      promptTokens: 1100,
      outputTokens: 794,
      blocks: [0, 28, 29],
      blockTokens: 512,
      prompt: undefined,
      messages: undefined,
      session: undefined,
    })
  })

  it('reads Azure’s columns to the microsecond, and BurstGPT’s in seconds', () => {
    const azure = parseTrace(
      [
        // Azure LLM inference trace 2023 (CC-BY-4.0), first rows of the conversation file, in another order.
        'TIMESTAMP,ContextTokens,GeneratedTokens',
        '2023-11-16 18:15:50.9951690,396,109',
        '2023-11-16 18:15:46.6805900,374,44',
      ],
      limits,
    )
    expect(azure.map((request) => request.promptTokens)).toEqual([374, 396])
    expect(azure[1]?.atMs).toBeCloseTo(4314.579, 3)
    const burst = ['Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type', '5,ChatGPT,472,18,490,x']
    expect(parseTrace(burst, limits)[0]).toMatchObject({ atMs: 0, promptTokens: 472, outputTokens: 18 })
  })

  it('keeps the turns of a session in order, those with times by their times and others by the file', () => {
    const rows = [
      { session_id: 'a', timestamp: 9000, input_length: 1, output_length: 1 },
      { session_id: 'a', delay: 500, input_length: 2, output_length: 1 },
      { session_id: 'b', timestamp: 12_000, input_length: 11, output_length: 1 },
      { session_id: 'a', input_length: 3, output_length: 1, delay: null },
      { session_id: 'b', timestamp: 8000, input_length: 10, output_length: 1 },
    ].map((row) => JSON.stringify(row))
    const trace = parseTrace(rows, limits)
    expect(trace.map(({ atMs, promptTokens, pauseMs }) => [atMs, promptTokens, pauseMs])).toEqual([
      [0, 10, undefined],
      [1000, 1, undefined],
      [1500, 2, 500],
      [1500, 3, undefined],
      [4000, 11, undefined],
    ])
  })

  it('reads conversations that are written out', () => {
    const messages = [{ role: 'user', content: 'Hi', name: 'x' }]
    const [request] = parseTrace([JSON.stringify({ session_id: 'a', messages, output_length: 3 })], limits)
    expect(request).toMatchObject({ atMs: 0, promptTokens: 0, messages: [{ role: 'user', content: 'Hi' }] })
    const wrong = JSON.stringify({ messages: [{ role: 'user' }], output_length: 3 })
    expect(() => parseTrace([wrong], limits)).toThrow('Line 1 of the trace has messages that are no list')
  })

  it('names the line and what is wrong with it', () => {
    expect(() => parseTrace(['{"timestamp": 0', ''], limits)).toThrow('Line 1 of the trace is not JSON.')
    expect(() => parseTrace([mooncake[0] ?? '', '{"timestamp":1,"input_length":-4}'], limits)).toThrow(/Line 2.*-4/)
    expect(() => parseTrace(['a,b,c', '1,2,3'], limits)).toThrow(/needs a column for time/)
    expect(() => parseTrace(['Timestamp,Request tokens,Response tokens', 'noon,1,2'], limits)).toThrow(/Line 2.*'noon'/)
    expect(() => parseTrace([], limits)).toThrow(/holds no request/)
    expect(() => parseTrace(mooncake, { maxTraceRequests: 2 })).toThrow(/maxTraceRequests.* is 2 requests/)
  })

  it('throws nothing but its own errors, whatever the lines hold', () => {
    fc.assert(
      fc.property(
        fc.array(fc.oneof(fc.string(), fc.json(), fc.constantFrom(...mooncake)), { maxLength: 5 }),
        (lines) => {
          try {
            parseTrace(lines, limits)
          } catch (error) {
            expect((error as Error).name).toBe('TokenmillError')
          }
        },
      ),
    )
  })
})

describe('ditherTrace()', () => {
  it('spreads requests over their bucket, repeatably, and leaves distinct times alone', () => {
    const trace = parseTrace(mooncake, limits)
    const spread = ditherTrace(trace, createRandom(5))
    expect(spread).toEqual(ditherTrace(trace, createRandom(5)))
    expect(new Set(spread.map((request) => request.atMs)).size).toBe(3)
    expect(spread[0]?.atMs).toBeLessThan(3000)
    expect(ditherTrace(trace.slice(1), createRandom(5))).toEqual(trace.slice(1))
  })

  it('never moves a turn before the one it follows', () => {
    const turn = (index: number) => ({ session_id: 's', timestamp: 0, input_length: index + 1, output_length: 1 })
    const rows = [...Array.from({ length: 8 }, (_, index) => turn(index)), { ...turn(8), timestamp: 3000 }]
    const trace = parseTrace(
      rows.map((row) => JSON.stringify(row)),
      limits,
    )
    for (let seed = 0; seed < 20; seed += 1) {
      const order = ditherTrace(trace, createRandom(seed)).map((request) => request.promptTokens)
      expect(order).toEqual(order.toSorted((a, b) => a - b))
    }
  })
})
