import net from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ScriptedEngine } from '../scripted/engine.ts'
import { startTestServer, type TestServer } from '../scripted/server.ts'

let server: TestServer
beforeAll(async () => {
  server = await startTestServer(new ScriptedEngine())
})
afterAll(async () => {
  await server.close(AbortSignal.abort())
})

/** Sends bytes as they are; resolves with all that comes back once the server has closed the connection. */
function exchange(bytes: string): Promise<string> {
  return new Promise((resolve) => {
    let answer = ''
    const socket = net.connect(Number(new URL(server.url).port), '127.0.0.1', () => socket.write(bytes, 'latin1'))
    socket.on('data', (chunk) => (answer += chunk.toString('latin1')))
    socket.on('error', () => undefined)
    socket.on('close', () => resolve(answer))
  })
}

const body = JSON.stringify({ model: 'scripted', messages: [{ role: 'user', content: 'hi' }], max_tokens: 1 })
const chunked = `${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`
const post = (headers: string, rest: string, target = '/v1/chat/completions') =>
  `POST ${target} HTTP/1.1\r\n${headers}\r\n\r\n${rest}`
const host = 'Host: localhost'
/** What a smuggled request would be: if it were read as one, the server would answer twice. */
const hidden = 'GET /v1/models HTTP/1.1\r\nHost: localhost\r\n\r\n'

describe('requests that two readers of HTTP would understand differently', () => {
  it.each([
    [
      'Content-Length with Transfer-Encoding',
      post(`${host}\r\nContent-Length: 4\r\nTransfer-Encoding: chunked`, chunked),
    ],
    [
      'Transfer-Encoding with Content-Length',
      post(`${host}\r\nTransfer-Encoding: chunked\r\nContent-Length: 4`, chunked),
    ],
    ['two lengths', post(`${host}\r\nContent-Length: ${body.length}\r\nContent-Length: 3`, body)],
    ['a length with a sign', post(`${host}\r\nContent-Length: +${body.length}`, body)],
    ['a length in hexadecimal', post(`${host}\r\nContent-Length: 0x10`, body)],
    ['two Transfer-Encodings', post(`${host}\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked`, chunked)],
    ['a coding beside chunked', post(`${host}\r\nTransfer-Encoding: gzip, chunked`, chunked)],
    ['an unknown coding', post(`${host}\r\nTransfer-Encoding: xchunked`, chunked)],
    ['a chunk size that is no number', post(`${host}\r\nTransfer-Encoding: chunked`, `zz\r\n${body}\r\n0\r\n\r\n`)],
    ['a chunk longer than its size', post(`${host}\r\nTransfer-Encoding: chunked`, `4\r\n${body}\r\n0\r\n\r\n`)],
    ['a chunk size beyond 64 bits', post(`${host}\r\nTransfer-Encoding: chunked`, `fffffffffffffffff\r\n${body}`)],
    ['a header folded over two lines', post(`${host}\r\nX-A: b\r\n c: d\r\nContent-Length: ${body.length}`, body)],
    ['a space before the colon', post(`${host}\r\nContent-Length : ${body.length}`, body)],
    ['a NUL in a name', post(`${host}\r\nX-\0A: b\r\nContent-Length: ${body.length}`, body)],
    ['a CR in a name', post(`${host}\r\nX-\rA: b\r\nContent-Length: ${body.length}`, body)],
    ['a NUL in a value', post(`${host}\r\nX-A: b\0c\r\nContent-Length: ${body.length}`, body)],
    ['two Hosts', post(`${host}\r\nHost: other.example\r\nContent-Length: ${body.length}`, body)],
    ['no Host', post(`Content-Length: ${body.length}`, body)],
    [
      'an address of another host',
      post(`${host}\r\nContent-Length: ${body.length}`, body, 'http://other.example/v1/chat/completions'),
    ],
  ])('%s: 400, and the connection closes', async (_name, bytes) => {
    const answer = await exchange(bytes + hidden)
    expect(answer).toMatch(/^HTTP\/1\.1 400 /)
    expect(answer).toMatch(/\r\nconnection: close\r\n/i)
    expect(answer.match(/HTTP\/1\.1 \d/g)).toHaveLength(1)
    const json = answer.slice(answer.indexOf('\r\n\r\n') + 4)
    expect(JSON.parse(json)).toMatchObject({ error: { type: 'invalid_request_error' } })
  })

  it('an Expect that nothing can meet: 417 in JSON, and the connection closes', async () => {
    const answer = await exchange(post(`${host}\r\nExpect: tea\r\nContent-Length: ${body.length}`, body))
    expect(answer).toMatch(/^HTTP\/1\.1 417 /)
    expect(answer).toMatch(/"error":/)
  })
})

describe('requests that are plain HTTP', () => {
  const closing = `${host}\r\nConnection: close`

  it('are answered, chunked or with a length, at a doubled slash, with the host in the address too', async () => {
    const { port } = new URL(server.url)
    for (const bytes of [
      post(`${closing}\r\nContent-Length: ${body.length}`, body),
      post(`${closing}\r\nTransfer-Encoding: chunked`, chunked),
      post(`${closing}\r\nContent-Length: ${body.length}`, body, '//v1/chat/completions'),
      post(`${closing}\r\nContent-Length: ${body.length}`, body, '/v1/chat/completions/?api-version=1'),
      post(
        `Host: localhost:${port}\r\nConnection: close\r\nContent-Length: ${body.length}`,
        body,
        `http://localhost:${port}/v1/chat/completions`,
      ),
    ]) {
      expect(await exchange(bytes)).toMatch(/^HTTP\/1\.1 200 [^]*"content":"w0 "/)
    }
  })

  it('of HTTP/1.0 without a Host get health, and nothing that needs a Host', async () => {
    expect(await exchange('GET /v1/health/live HTTP/1.0\r\n\r\n')).toMatch(/^HTTP\/1\.1 200 /)
    expect(await exchange('GET /v1/models HTTP/1.0\r\n\r\n')).toMatch(/^HTTP\/1\.1 403 /)
  })
})
