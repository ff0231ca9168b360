import { createServer, type ServerResponse } from 'node:http'
import { connect } from 'node:net'
import type { AddressInfo } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { outletOf, writeChunk } from './chunk-writer.ts'

const closers: (() => void)[] = []
afterEach(() => {
  for (const close of closers.splice(0)) close()
})

/** Serves every request with `answer`, and returns all bytes that come back for what is sent. */
async function exchange(sent: string, answer: (raw: ServerResponse) => void): Promise<string> {
  const server = createServer((_request, raw) => answer(raw))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  closers.push(() => server.close())
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1')
  socket.write(sent)
  let received = ''
  socket.setEncoding('utf8').on('data', (text: string) => (received += text))
  await new Promise((resolve) => socket.once('close', resolve))
  return received
}

/** The bodies of chunked answers that follow each other. */
function bodiesOf(received: string): string[] {
  return received
    .split('HTTP/1.1 200 OK\r\n')
    .slice(1)
    .map((answer) => {
      let rest = Buffer.from(answer.slice(answer.indexOf('\r\n\r\n') + 4))
      let body = ''
      for (;;) {
        const end = rest.indexOf('\r\n')
        const length = Number.parseInt(rest.subarray(0, end).toString(), 16)
        expect(rest.subarray(end + 2 + length, end + 4 + length).toString()).toBe('\r\n')
        if (length === 0) return body
        body += rest.subarray(end + 2, end + 2 + length).toString()
        rest = rest.subarray(end + 4 + length)
      }
    })
}

function answerInPieces(raw: ServerResponse, pieces: readonly string[]): void {
  raw.writeHead(200)
  raw.write(pieces[0] ?? '')
  for (const piece of pieces.slice(1)) writeChunk(raw, piece)
  raw.end()
}

const request = (version: string, connection: string) =>
  `GET / HTTP/${version}\r\nhost: localhost\r\nconnection: ${connection}\r\n\r\n`

describe('writeChunk', () => {
  it('frames chunks by bytes, in the order of the writes around them', async () => {
    const pieces = ['head ', 'plain ', 'Größe 🌾 ', '', 'end']
    const received = await exchange(request('1.1', 'close'), (raw) =>
      answerInPieces(
        raw,
        pieces.filter((piece) => piece !== ''),
      ),
    )
    expect(bodiesOf(received)).toEqual(['head plain Größe 🌾 end'])
  })

  it('writes no chunk frames to a client of HTTP/1.0', async () => {
    const received = await exchange(request('1.0', 'close'), (raw) => answerInPieces(raw, ['one ', 'two ', 'three']))
    expect(received.slice(received.indexOf('\r\n\r\n') + 4)).toBe('one two three')
  })

  it('keeps pipelined answers apart, though the later one is ready first', async () => {
    const answers: ServerResponse[] = []
    const received = await exchange(request('1.1', 'keep-alive') + request('1.1', 'close'), (raw) => {
      answers.push(raw)
      if (answers.length < 2) return
      const [first, second] = answers
      if (second !== undefined) answerInPieces(second, ['second ', 'answer'])
      setImmediate(() => {
        if (first !== undefined) answerInPieces(first, ['first ', 'answer'])
      })
    })
    expect(bodiesOf(received)).toEqual(['first answer', 'second answer'])
  })

  it('tells when the client reads too slowly, and when it has caught up', async () => {
    const piece = 'x'.repeat(65_536)
    const drains: string[] = []
    const received = await exchange(request('1.1', 'close'), (raw) => {
      raw.writeHead(200)
      raw.write('>')
      writeChunk(raw, piece)
      const outlet = outletOf(raw)
      drains.push(String(outlet.writableNeedDrain))
      outlet.once('drain', () => {
        drains.push(String(outletOf(raw).writableNeedDrain))
        writeChunk(raw, '<')
        raw.end()
      })
    })
    expect(drains).toEqual(['true', 'false'])
    expect(bodiesOf(received)).toEqual([`>${piece}<`])
  })
})
