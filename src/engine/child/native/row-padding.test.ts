import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Batch } from './llama-batch.ts'
import { mostPadding, noPadding, padPrompt, padStreams, rowsAtOnce } from './row-padding.ts'

function batchOf(rows: readonly { readonly stream: number; readonly position: number }[]): Batch {
  return {
    count: rows.length,
    token: new Int32Array(rows.length),
    position: Int32Array.from(rows, ({ position }) => position),
    stream: Int32Array.from(rows, ({ stream }) => stream),
    output: new Int8Array(rows.length),
  }
}

const streamsFrom = (first: number, count: number): Batch =>
  batchOf(Array.from({ length: count }, (_, at) => ({ stream: first + at, position: 10 })))

const promptOf = (count: number, from = 0): Batch =>
  batchOf(Array.from({ length: count }, (_, at) => ({ stream: 5, position: from + at })))

const memory = { streams: 8, sequenceCells: 64, lengthOf: () => 10 }

describe('Row padding', () => {
  it('fills a prompt up behind its last token, where two or three rows would be left over', () => {
    const added = [1, 2, 3, 4, 5, 6, 7, 8, 30, 31].map((count) => padPrompt(promptOf(count), memory).back.length)
    expect(added).toEqual([0, 0, 1, 0, 0, 2, 1, 0, 2, 1])
    expect(padPrompt(promptOf(6, 20), memory).back).toEqual([
      { stream: 5, position: 26 },
      { stream: 5, position: 27 },
    ])
  })

  it('leaves a prompt alone that would outgrow its stream', () => {
    expect(padPrompt(promptOf(3, 60), memory).back).toHaveLength(1)
    expect(padPrompt(promptOf(3, 61), memory)).toBe(noPadding)
  })

  it('puts a token into the streams behind, and before where none is behind', () => {
    expect(padStreams(streamsFrom(1, 3), memory)).toEqual({ front: [], back: [{ stream: 4, position: 10 }] })
    expect(padStreams(streamsFrom(5, 3), memory)).toEqual({ front: [{ stream: 4, position: 10 }], back: [] })
    const between = padStreams(streamsFrom(1, 6), memory)
    expect([between.front, between.back].map((rows) => rows.map(({ stream }) => stream))).toEqual([[0], [7]])
  })

  it('is all or nothing', () => {
    expect(padStreams(streamsFrom(0, 6), { ...memory, streams: 7 })).toBe(noPadding)
    const isFull = (stream: number) => (stream === 3 ? memory.sequenceCells : 10)
    expect(padStreams(streamsFrom(0, 3), { ...memory, lengthOf: isFull })).toBe(noPadding)
  })

  it('does nothing for streams with gaps between them', () => {
    const apart = batchOf([0, 2, 3].map((stream) => ({ stream, position: 1 })))
    expect(padStreams(apart, memory)).toBe(noPadding)
  })

  it('makes whole groups of consecutive streams, whatever runs and whatever is full', () => {
    const situation = fc.record({
      first: fc.nat(20),
      count: fc.integer({ min: 1, max: 20 }),
      beyond: fc.nat(3),
      lengths: fc.array(fc.nat(12), { minLength: 50, maxLength: 50 }),
    })
    fc.assert(
      fc.property(situation, ({ first, count, beyond, lengths }) => {
        const streams = first + count + beyond
        const padding = padStreams(streamsFrom(first, count), {
          streams,
          sequenceCells: 12,
          lengthOf: (stream) => lengths[stream] ?? 0,
        })
        const all = [...padding.front, ...padding.back]
        if (all.length === 0) return
        expect(all.length).toBeLessThanOrEqual(mostPadding)
        expect((count + all.length) % rowsAtOnce).toBe(0)
        const order = [
          ...padding.front.map(({ stream }) => stream),
          ...Array.from({ length: count }, (_, at) => first + at),
          ...padding.back.map(({ stream }) => stream),
        ]
        expect(order).toEqual(order.map((_, at) => (order[0] ?? 0) + at))
        for (const { stream, position } of all) {
          expect(stream).toBeGreaterThanOrEqual(0)
          expect(stream).toBeLessThan(streams)
          expect(position).toBe(lengths[stream])
          expect(position).toBeLessThan(12)
        }
      }),
    )
  })
})
