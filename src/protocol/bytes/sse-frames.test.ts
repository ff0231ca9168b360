import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { SseFrameCutter } from './sse-frames.ts'

/** The text in pieces, cut at the given places. */
function cut(text: Buffer, places: readonly number[]): Buffer[] {
  const borders = [...new Set(places.map((place) => place % (text.length + 1)))].sort((a, b) => a - b)
  return [0, ...borders].map((from, at) => text.subarray(from, borders[at] ?? text.length))
}

describe('SseFrameCutter', () => {
  const line = fc
    .oneof(fc.string({ maxLength: 12 }), fc.constantFrom('é', '日本', '🦙'))
    .map((text) => `data: ${text.replaceAll(/[\r\n]/g, '')}`)
  const frame = fc
    .tuple(fc.array(line, { minLength: 1, maxLength: 3 }), fc.constantFrom('\n', '\r\n'))
    .map(([lines, end]) => lines.map((text) => text + end).join('') + end)

  it('gives the same frames however the bytes are cut, and no byte is lost', () => {
    fc.assert(
      fc.property(fc.array(frame), fc.array(fc.nat(500)), line, (frames, places, rest) => {
        const cutter = new SseFrameCutter(10_000)
        const seen: string[] = []
        for (const chunk of cut(Buffer.from(frames.join('') + rest), places)) {
          cutter.push(chunk, (bytes) => seen.push(bytes.toString()))
        }
        expect(seen).toEqual(frames)
        expect(cutter.rest().toString()).toBe(rest)
        expect(cutter.heldBytes).toBe(0)
      }),
      { numRuns: 200 },
    )
  })

  it('passes a frame that fills its chunk without copying it', () => {
    const chunk = Buffer.from('data: x\n\n')
    let seen: Buffer | undefined
    new SseFrameCutter(100).push(chunk, (bytes) => {
      seen = bytes
    })
    expect(seen?.buffer).toBe(chunk.buffer)
    expect(seen?.byteOffset).toBe(chunk.byteOffset)
  })

  it('refuses a frame past its limit while it arrives, and holds no more than the limit', () => {
    const cutter = new SseFrameCutter(100)
    cutter.push(Buffer.alloc(100, 'x'), () => undefined)
    expect(cutter.heldBytes).toBe(100)
    expect(() => cutter.push(Buffer.from('x'), () => undefined)).toThrow(/'maxSseFrameBytes' is 100 bytes/)
    expect(cutter.heldBytes).toBe(0)
  })
})
