import { createServer as createHttpServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { createServer as createTcpServer, Socket, type AddressInfo } from 'node:net'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { TokenmillError, toTokenmillError } from '../core/index.ts'
import type { RelayFlow, RelaySink } from '../inference/index.ts'
import { EndpointHttp } from './http.ts'
import { testSettings } from './testing.ts'

const never = new AbortController().signal
const cleanups: (() => unknown)[] = []

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

async function listen(server: Server | ReturnType<typeof createTcpServer>): Promise<string> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  cleanups.push(() => new Promise((resolve) => server.close(resolve)))
  if ('closeAllConnections' in server) cleanups.push(() => server.closeAllConnections())
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

function serve(handler: (request: IncomingMessage, response: ServerResponse) => void): Promise<string> {
  return listen(createHttpServer(handler))
}

/** A server that speaks raw bytes, for answers that no HTTP library would send. */
async function serveRaw(onRequest: (socket: Socket) => void): Promise<string> {
  const sockets = new Set<Socket>()
  const server = createTcpServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => undefined)
    socket.once('data', () => onRequest(socket))
  })
  const url = await listen(server)
  cleanups.push(() => sockets.forEach((socket) => socket.destroy()))
  return url
}

function open(url: string, overrides: Parameters<typeof testSettings>[1] = {}): EndpointHttp {
  const http = new EndpointHttp(testSettings(url, overrides))
  cleanups.push(() => http.close())
  return http
}

function gather(): RelaySink & { text(): string; flow?: RelayFlow; began: boolean } {
  const pieces: Uint8Array[] = []
  return {
    began: false,
    begin(_head, flow) {
      this.began = true
      this.flow = flow
    },
    data: (chunk) => pieces.push(chunk),
    text: () => Buffer.concat(pieces).toString(),
  }
}

const failure = (promise: Promise<unknown>): Promise<TokenmillError> =>
  promise.then(
    () => {
      throw new Error('it succeeded')
    },
    (error: unknown) => toTokenmillError(error),
  )

const post = { method: 'POST', path: '/v1/chat/completions', body: '{}' } as const

describe('EndpointHttp', () => {
  it('sends our credentials and nothing else of the client, below the prefix of its address', async () => {
    let seen: IncomingMessage | undefined
    const url = await serve((request, response) => {
      seen = request
      response.setHeader('set-cookie', 'a=b').end('{}')
    })
    const http = open(`${url}/prefix/v1/`, { apiKey: 'sk-1', headers: { 'X-Team': 'red' } })
    const sink = gather()
    let headers: Readonly<Record<string, string>> = {}
    await http.stream(post, { ...sink, begin: (head) => (headers = head.headers) }, never)
    expect(seen?.url).toBe('/prefix/v1/chat/completions')
    expect(seen?.headers).toMatchObject({ authorization: 'Bearer sk-1', 'x-team': 'red' })
    expect(headers).toEqual({})
  })

  it.each([
    ['refuses connections', 'http://127.0.0.1:1', 'upstream_failed', /refuses connections/],
    ['has an unknown name', 'http://nobody.invalid', 'upstream_failed', /host name/],
  ])('says so when the endpoint %s', async (_name, url, code, message) => {
    const error = await failure(open(url).stream(post, gather(), never))
    expect(error.code).toBe(code)
    expect(error.message).toMatch(message)
  })

  it.each([
    ['before the headers', (socket: Socket) => socket.resetAndDestroy()],
    [
      'after the headers',
      (socket: Socket) => socket.write('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n', () => socket.destroy()),
    ],
    [
      'before all announced bytes came',
      (socket: Socket) => socket.end('HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{"a":1'),
    ],
    [
      'within a chunk',
      (socket: Socket) => socket.end('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n10\r\nhalf'),
    ],
  ])('fails an answer that breaks off %s', async (_name, act) => {
    const url = await serveRaw(act)
    expect((await failure(open(url).stream(post, gather(), never))).code).toBe('upstream_failed')
  })

  it('asks below the base URL as it is documented, keeps its query, and sends the key as the provider wants it', async () => {
    const seen: [string | undefined, unknown, unknown][] = []
    const url = await serve((request, response) => {
      seen.push([request.url, request.headers['api-key'], request.headers['authorization']])
      response.end('{}')
    })
    const azure = { provider: 'azure', apiKey: 'k' } as const
    await open(`${url}/openai/deployments/d?api-version=1`, azure).stream(post, gather(), never)
    await open(`${url}/v1beta/openai`, { apiKey: 'k' }).stream(post, gather(), never)
    expect(seen).toEqual([
      ['/openai/deployments/d/chat/completions?api-version=1', 'k', undefined],
      ['/v1beta/openai/chat/completions', undefined, 'Bearer k'],
    ])
  })

  it('asks for answers as they are, and fails one that comes compressed all the same', async () => {
    const url = await serve((request, response) => {
      expect(request.headers['accept-encoding']).toBe('identity')
      response.writeHead(200, { 'content-encoding': 'gzip' }).end('\u001F\u008B')
    })
    const sink = gather()
    const error = await failure(open(url).stream({ method: 'POST', path: '/v1/x', body: '{}' }, sink, never))
    expect(error).toMatchObject({ code: 'upstream_failed', message: expect.stringContaining("'gzip'") as string })
    expect(sink.began).toBe(false)
  })

  it('fails a redirect instead of contacting a host that nobody configured', async () => {
    const url = await serve((_request, response) => response.writeHead(307, { location: 'http://127.0.0.1:9/' }).end())
    expect(await failure(open(url).stream(post, gather(), never))).toMatchObject({ details: { upstreamStatus: 307 } })
  })

  it('carries status, words and Retry-After of an error, and reads no more of its body than the limit', async () => {
    const url = await serve((request, response) => {
      if (request.url?.endsWith('completions') === true) {
        response.writeHead(429, { 'retry-after': '2' }).end('{"error":{"message":"slow down"}}')
        return
      }
      response.writeHead(500)
      const film = setInterval(() => response.write(Buffer.alloc(4096)), 1)
      response.on('close', () => clearInterval(film))
    })
    const http = open(url)
    expect(await failure(http.stream(post, gather(), never))).toMatchObject({
      code: 'rate_limited',
      message: expect.stringContaining('slow down') as string,
      details: { upstreamStatus: 429, retryAfterMs: 2000 },
    })
    expect((await failure(http.stream({ ...post, path: '/film' }, gather(), never))).code).toBe('upstream_failed')
  })

  it('closes the connection within 50 ms of an abort: before the headers, and within the stream', async () => {
    for (const streaming of [false, true]) {
      const closings: number[] = []
      let requests = 0
      const url = await serve((_request, response) => {
        if (streaming) response.write('data: 1\n\n')
        response.on('close', () => closings.push(performance.now()))
        requests += 1
      })
      // Several times: on a busy machine one of them may find the event loop late.
      const delaysMs: number[] = []
      for (let turn = 1; turn <= 5; turn += 1) {
        const abort = new AbortController()
        const result = failure(open(url).stream(post, gather(), abort.signal))
        await expect.poll(() => requests, { interval: 2 }).toBe(turn)
        const abortedAtMs = performance.now()
        abort.abort()
        expect((await result).code).toBe('cancelled')
        await expect.poll(() => closings.length, { interval: 2 }).toBe(turn)
        delaysMs.push((closings.at(-1) ?? Infinity) - abortedAtMs)
      }
      expect(Math.min(...delaysMs)).toBeLessThan(50)
    }
  })

  it('never sends a request that was aborted while its connection opened', async () => {
    let requests = 0
    const url = await serve((_request, response) => {
      requests += 1
      response.end('{}')
    })
    const http = open(url)
    const abort = new AbortController()
    const result = failure(http.stream(post, gather(), abort.signal))
    abort.abort()
    expect((await result).code).toBe('cancelled')
    await http.fetch({ method: 'GET', path: '/' }, never)
    expect(requests).toBe(1)
  })

  it('passes on the reason of an abort that is an error of its own', async () => {
    const url = await serve(() => undefined)
    const late = new TokenmillError('upstream_timeout', 'No first token in time.')
    expect(await failure(open(url).stream(post, gather(), AbortSignal.abort(late)))).toBe(late)
  })

  it('stops reading while the sink holds it, and goes on without losing a byte', async () => {
    const total = 30 * 1024 * 1024
    let sent = 0
    const url = await serve((_request, response) => {
      const chunk = Buffer.alloc(64 * 1024, 'x')
      const write = (): void => {
        while (sent < total) {
          sent += chunk.length
          if (!response.write(chunk)) {
            response.once('drain', write)
            return
          }
        }
        response.end()
      }
      write()
    })
    let flow: RelayFlow | undefined
    let received = 0
    const done = open(url).stream(
      post,
      {
        begin(_head, given) {
          flow = given
          flow.pause()
        },
        data: (chunk) => (received += chunk.length),
      },
      never,
    )
    await expect.poll(() => flow !== undefined).toBe(true)
    // What the kernel's buffers on both sides take up, and nothing beyond.
    let before = -1
    await expect
      .poll(
        () => {
          const stalled = before === sent
          before = sent
          return stalled
        },
        { interval: 50 },
      )
      .toBe(true)
    expect(sent).toBeLessThan(total)
    expect(received).toBeLessThan(1024 * 1024)
    flow?.resume()
    await done
    expect(received).toBe(total)
  })

  it('reports silence within an answer as a timeout', async () => {
    const url = await serve((_request, response) => {
      response.write('data: 1\n\n')
    })
    const error = await failure(open(url).stream({ ...post, idleMs: 300 }, gather(), never))
    expect(error.code).toBe('upstream_timeout')
    expect(error.message).toMatch(/fell silent/)
  })

  it('sends small pieces at once: noDelay is set on its sockets', async () => {
    const url = await serve((_request, response) => response.end('{}'))
    const spy = vi.spyOn(Socket.prototype, 'setNoDelay')
    try {
      await open(url).fetch({ method: 'GET', path: '/' }, never)
      expect(spy.mock.calls.some(([flag]) => flag !== false)).toBe(true)
    } finally {
      spy.mockRestore()
    }
  })
})
