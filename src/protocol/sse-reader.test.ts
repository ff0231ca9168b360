import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { SseReader, type SseEvent } from './sse-reader.ts'

function read(chunks: readonly Uint8Array[], maxEventBytes = 1 << 16): SseEvent[] {
  const reader = new SseReader({ maxEventBytes })
  const events: SseEvent[] = []
  for (const chunk of chunks) reader.push(chunk, (event) => events.push(event))
  return events
}

const bytes = (text: string): Uint8Array => Buffer.from(text, 'utf8')

describe('SseReader', () => {
  it('reads events whichever of the three line ends the stream uses', () => {
    for (const end of ['\n', '\r\n', '\r']) {
      const text = [`data: one`, '', ': ping', 'event: note', 'id: 7', 'data: two', 'data:three', '', ''].join(end)
      expect(read([bytes(text)])).toEqual([
        { data: 'one', event: undefined, id: undefined },
        { data: 'two\nthree', event: 'note', id: '7' },
      ])
    }
  })

  it('gives the same events wherever the bytes are cut, in characters and line ends too', () => {
    const line = fc.string({ unit: 'binary', maxLength: 12 }).map((text) => text.replace(/[\r\n]/g, '¶'))
    const event = fc.record({ data: fc.array(line, { minLength: 1, maxLength: 3 }), name: fc.option(line) })
    const end = fc.constantFrom('\n', '\r\n', '\r')
    fc.assert(
      fc.property(fc.array(event, { maxLength: 5 }), end, fc.array(fc.nat(400)), (events, end, cuts) => {
        const text = events
          .map((each) => {
            const fields = each.data.map((value) => `data: ${value}${end}`)
            if (each.name !== null) fields.unshift(`event: ${each.name}${end}`)
            return `:keep-alive${end}${fields.join('')}${end}`
          })
          .join('')
        const whole = bytes(text)
        const at = [...new Set(cuts.filter((cut) => cut < whole.length))].toSorted((a, b) => a - b)
        const pieces = [0, ...at].map((from, index) => whole.subarray(from, at[index] ?? whole.length))
        const expected = events.map((each) => ({
          data: Buffer.from(each.data.join('\n'), 'utf8').toString('utf8'),
          event: each.name === null ? undefined : Buffer.from(each.name, 'utf8').toString('utf8'),
          id: undefined,
        }))
        expect(read(pieces)).toEqual(expected)
      }),
    )
  })

  it('skips a byte order mark, events without data, and says when the body ended inside an event', () => {
    const reader = new SseReader({ maxEventBytes: 1000 })
    const events: SseEvent[] = []
    reader.push(bytes('\uFEFFdata: first\n\nevent: nothing\n\ndata: cut'), (event) => events.push(event))
    expect(events.map((event) => event.data)).toEqual(['first'])
    expect(reader.unfinished).toBe(true)
  })

  it('holds no more than maxEventBytes of an event that never ends', () => {
    expect(() => read([bytes(`data: ${'x'.repeat(100)}`)], 64)).toThrow(/maxEventBytes.* is 64 bytes/)
    expect(() =>
      read(
        Array.from({ length: 20 }, () => bytes('data: 12345678\n')),
        64,
      ),
    ).toThrow(/maxEventBytes/)
    expect(
      read(
        Array.from({ length: 20 }, () => bytes(': comment\n')),
        64,
      ),
    ).toEqual([])
  })
})
