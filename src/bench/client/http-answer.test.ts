import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { HttpAnswerReader } from './http-answer.ts'

interface Seen {
  status: number
  fields: Record<string, string>
  body: string
  ended: number
  keepAlive: boolean
}

/** Reads text in pieces cut at `places`, as a connection would. */
function read(text: string, places: readonly number[] = [], closed = true): Seen {
  const seen: Seen = { status: 0, fields: {}, body: '', ended: 0, keepAlive: false }
  const reader = new HttpAnswerReader({
    onHead: (status, fields) => Object.assign(seen, { status, fields: Object.fromEntries(fields) }),
    onBody: (bytes, start, end) => (seen.body += bytes.toString('latin1', start, end)),
    onEnd: () => (seen.ended += 1),
  })
  const bytes = Buffer.from(text, 'latin1')
  const cuts = [...places.map((place) => place % (bytes.length + 1)), bytes.length].toSorted((a, b) => a - b)
  // One buffer for all reads: what the reader keeps of it must be its own.
  const shared = Buffer.alloc(bytes.length)
  for (const [index, end] of cuts.entries()) {
    const count = bytes.copy(shared, 0, cuts[index - 1] ?? 0, end)
    if (count > 0) reader.push(shared.subarray(0, count))
  }
  if (closed) reader.close()
  return { ...seen, keepAlive: reader.keepAlive }
}

const head = 'HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n'

function chunked(pieces: readonly string[]): string {
  const chunks = pieces.filter((piece) => piece !== '').map((piece) => `${piece.length.toString(16)}\r\n${piece}\r\n`)
  return `${head}Transfer-Encoding: chunked\r\n\r\n${chunks.join('')}0\r\nx-trailer: 1\r\n\r\n`
}

describe('HttpAnswerReader', () => {
  it('finds the same answer in the same bytes, however they are framed and cut', () => {
    const piece = fc.string({ unit: fc.constantFrom('a', '\r', '\n', '0', ';', ':', ' '), maxLength: 20 })
    fc.assert(
      fc.property(fc.array(piece), fc.array(fc.nat()), fc.nat(2), (pieces, cuts, framing) => {
        const body = pieces.join('')
        const sized = `${head}content-length: ${body.length}\r\n\r\n${body}`
        const text = [chunked(pieces), sized, `${head}\r\n${body}`][framing] ?? ''
        const seen = read(text, cuts)
        expect(seen).toMatchObject({ status: 200, body, ended: 1, keepAlive: framing < 2 })
        expect(seen.fields['content-type']).toBe('text/event-stream')
      }),
    )
  })

  it('skips interim answers and takes a bare line feed, as RFC 9112 allows', () => {
    const interim = 'HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n'
    expect(read(`HTTP/1.1 100 Continue\r\n\r\n${interim}HTTP/1.0 429 No\ncontent-length: 2\n\nno`)).toMatchObject({
      status: 429,
      body: 'no',
      ended: 1,
      keepAlive: false,
    })
  })

  it('keeps a connection only where both ends agree where the answer ended', () => {
    const sized = (fields: string): string => `HTTP/1.1 200 OK\r\n${fields}content-length: 1\r\n\r\nx`
    expect(read(sized('')).keepAlive).toBe(true)
    expect(read(sized('Connection: Close\r\n')).keepAlive).toBe(false)
    expect(read(`${sized('')}surplus`).keepAlive).toBe(false)
    expect(read('HTTP/1.1 204 No\r\n\r\n', [], false)).toMatchObject({ ended: 1, keepAlive: true })
  })

  it('does not end an answer that was cut', () => {
    const whole = chunked(['abc', 'def'])
    for (let end = 0; end < whole.length; end += 1) expect(read(whole.slice(0, end)).ended).toBe(0)
    expect(read('HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nabc').ended).toBe(0)
  })

  it('names what is no HTTP/1.1', () => {
    expect(() => read('SSH-2.0-OpenSSH_9.6\r\n\r\n')).toThrow(/no HTTP\/1\.1: 'SSH-2\.0/)
    expect(() => read(`${head}transfer-encoding: gzip\r\n\r\n`)).toThrow(/'gzip' is not known/)
    expect(() => read(`${head}content-length: -1\r\n\r\n`)).toThrow(/Content-Length is '-1'/)
    expect(() => read(`${head}transfer-encoding: chunked\r\n\r\nxyz\r\n`)).toThrow(/no hexadecimal number/)
    expect(() => read(`${head}transfer-encoding: chunked\r\n\r\n1\r\nabc`)).toThrow(/longer than its size/)
    expect(() => read(`HTTP/1.1 200 OK\r\n${'x: y\r\n'.repeat(20_000)}`)).toThrow(/longer than 65536 bytes/)
    expect(() => read('HTTP/1.1 101 Switching\r\n\r\n')).toThrow(/changes the protocol/)
    fc.assert(
      fc.property(fc.string(), (text) => {
        try {
          read(text)
        } catch (error) {
          expect(error).toHaveProperty('code', 'upstream_failed')
        }
      }),
    )
  })
})
