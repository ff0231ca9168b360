import { createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import { createServer as createTlsServer, getCACertificates, setDefaultCACertificates } from 'node:tls'
import { afterEach, describe, expect, it } from 'vitest'
import { Authority } from '../../../tests/support/certificates.ts'
import { Connections, type AnswerHandler } from './connections.ts'

const closers: (() => Promise<unknown> | void)[] = []
afterEach(async () => {
  for (const close of closers.splice(0)) await close()
})

const answer = 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi'

/** A server that calls back for each request's bytes with the number of its connection; its URL. */
async function serve(
  onData: (socket: Socket, connection: number) => void,
  server: Server = createServer(),
  host = '127.0.0.1',
): Promise<URL> {
  let connections = 0
  const sockets = new Set<Socket>()
  const secure = 'setSecureContext' in server
  server.on(secure ? 'secureConnection' : 'connection', (socket: Socket) => {
    const number = connections++
    sockets.add(socket)
    socket.on('error', () => {})
    socket.on('data', () => onData(socket, number))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  closers.push(() => {
    for (const socket of sockets) socket.destroy()
    return new Promise((resolve) => server.close(resolve))
  })
  return new URL(`${secure ? 'https' : 'http'}://${host}:${(server.address() as AddressInfo).port}/`)
}

/** Sends one request and resolves to the body, or to what failed. */
function ask(connections: Connections): Promise<string> {
  return new Promise((resolve) => {
    let body = ''
    let sent = false
    const handler: AnswerHandler = {
      onSent: () => (sent = true),
      onRead: () => {},
      onHead: () => {},
      onBody: (bytes, start, end) => (body += bytes.toString('latin1', start, end)),
      onEnd: () => resolve(body),
      onFailure: (problem, error) => resolve(`${sent ? 'sent' : 'unsent'} ${problem}: ${error.message}`),
    }
    connections.send('GET / HTTP/1.1\r\nhost: x\r\n\r\n', handler)
  })
}

function open(url: URL): Connections {
  const connections = new Connections(url)
  closers.push(() => connections.close())
  return connections
}

describe('Connections', () => {
  it('use one connection for requests that follow each other, and as many as there are at once', async () => {
    const seen: number[] = []
    const url = await serve((socket, number) => {
      seen.push(number)
      socket.write(answer)
    })
    const connections = open(url)
    for (let i = 0; i < 3; i += 1) expect(await ask(connections)).toBe('hi')
    expect(seen).toEqual([0, 0, 0])
    expect(await Promise.all([ask(connections), ask(connections), ask(connections)])).toEqual(['hi', 'hi', 'hi'])
    expect(seen.slice(3).toSorted((a, b) => a - b)).toEqual([0, 1, 2])
  })

  it('leave a connection that the other side says it will close, or that brought more than was asked', async () => {
    for (const told of [answer.replace('\r\n\r\n', '\r\nconnection: close\r\n\r\n'), `${answer}surplus`]) {
      const seen: number[] = []
      const url = await serve((socket, number) => {
        seen.push(number)
        socket.write(told)
      })
      const connections = open(url)
      expect([await ask(connections), await ask(connections)]).toEqual(['hi', 'hi'])
      expect(seen).toEqual([0, 1])
    }
    const brief = answer.replace('\r\n\r\n', '\r\nkeep-alive: timeout=1\r\n\r\n')
    const seen: number[] = []
    const connections = open(
      await serve((socket, number) => {
        seen.push(number)
        socket.write(brief)
      }),
    )
    await ask(connections)
    await ask(connections)
    expect(seen).toEqual([0, 1])
  })

  it('send a request again that met a kept connection closed, and then keep none', async () => {
    // As llama-server does after a stream: says that it keeps the connection, and closes it at the next request.
    const seen: number[] = []
    const used = new Set<number>()
    const url = await serve((socket, number) => {
      if (used.has(number)) socket.end()
      else socket.write(answer)
      if (!used.has(number)) seen.push(number)
      used.add(number)
    })
    const connections = open(url)
    for (let i = 0; i < 6; i += 1) expect(await ask(connections)).toBe('hi')
    expect(seen).toEqual([0, 1, 2, 3, 4, 5])
    expect(connections.resent).toBe(3)
    // A connection that breaks within an answer is not one of them.
    let answers = 0
    const cut = await serve((socket) => {
      answers += 1
      if (answers === 1) socket.write(answer)
      else socket.end('HTTP/1.1 200')
    })
    const others = open(cut)
    await ask(others)
    expect(await ask(others)).toMatch(/^sent connection: /)
    expect(others.resent).toBe(0)
    // Nor is one of a server that has kept a connection before.
    let asked = 0
    const refusing = await serve((socket) => {
      asked += 1
      if (asked === 3) socket.end()
      else socket.write(answer)
    })
    const kept = open(refusing)
    expect([await ask(kept), await ask(kept), await ask(kept)]).toEqual([
      'hi',
      'hi',
      'sent connection: the other side closed the connection',
    ])
    expect(kept.resent).toBe(0)
  })

  it('reach a name whose first address nobody serves, and say what they do not reach', async () => {
    const url = await serve((socket) => socket.write(answer), createServer(), 'localhost')
    expect(await ask(open(url))).toBe('hi')
    expect(await ask(open(new URL('http://127.0.0.1:9/')))).toMatch(/^unsent connection: .*ECONNREFUSED/)
    expect(await ask(open(new URL('http://no-such-host.invalid/')))).toMatch(
      /^unsent connection: .*ENOTFOUND|EAI_AGAIN/,
    )
  })

  it('tell a broken connection, wherever it breaks, from bytes that are no HTTP', async () => {
    const whole = 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n'
    for (const end of [0, 5, 30, whole.length - 9, whole.length - 1]) {
      const url = await serve((socket) => socket.end(whole.slice(0, end)))
      expect(await ask(open(url))).toMatch(/^sent connection: the other side closed/)
    }
    const reset = await serve((socket) => socket.resetAndDestroy())
    expect(await ask(open(reset))).toMatch(/^sent connection: .*ECONNRESET/)
    const ssh = await serve((socket) => socket.write('SSH-2.0-x\r\n\r\n'))
    expect(await ask(open(ssh))).toMatch(/^sent syntax: no HTTP\/1\.1: 'SSH-2\.0-x'/)
    const untilClose = await serve((socket) => socket.end('HTTP/1.0 200 OK\r\n\r\nall of it'))
    expect(await ask(open(untilClose))).toBe('all of it')
  })

  it('speak TLS to whom the system trusts, and to nobody else', async () => {
    const authority = new Authority('Bench test')
    const url = await serve(
      (socket) => socket.write(answer),
      createTlsServer(authority.issue('localhost')),
      'localhost',
    )
    expect(await ask(open(url))).toMatch(/^unsent connection: /)
    const trusted = getCACertificates('default')
    setDefaultCACertificates([...trusted, authority.cert])
    closers.push(() => setDefaultCACertificates(trusted))
    const connections = open(url)
    expect([await ask(connections), await ask(connections)]).toEqual(['hi', 'hi'])
    expect(await ask(open(new URL(url.href.replace('localhost', '127.0.0.1'))))).toMatch(
      /^unsent connection: .*altnames/,
    )
  })
})
