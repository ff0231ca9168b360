import OpenAI from 'openai'
import { afterEach, describe, expect, it } from 'vitest'
import { parseConfig } from '../../src/config/index.ts'
import { createKey, hashKey } from '../../src/server/index.ts'
import { ScriptedEngine } from '../scripted/engine.ts'
import { startTestServer, type TestServer } from '../scripted/server.ts'
import {
  chatEnd,
  chatFrame,
  counting,
  startUpstream,
  type Upstream,
  type UpstreamAnswer,
  type UpstreamRequest,
} from '../scripted/upstream.ts'

const closing: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close()
})

async function upstream(answer: UpstreamAnswer): Promise<Upstream> {
  const started = await startUpstream(answer)
  closing.push(() => started.close())
  return started
}

async function serve(text: string): Promise<{ server: TestServer; client: OpenAI }> {
  // A busy machine is no fault of the endpoints.
  const patient = text.includes('limits:') ? text : `${text}\nlimits: {probeTimeoutMs: 30s}`
  const server = await startTestServer([], {}, parseConfig(patient, 'tokenmill.yaml', {}))
  closing.push(() => server.close(AbortSignal.abort()))
  return { server, client: new OpenAI({ baseURL: `${server.url}/v1`, apiKey: 'sk-client-secret', maxRetries: 0 }) }
}

/** A model `chat` at these addresses, tried in turn. */
const model = (urls: readonly string[], more = ''): string =>
  `models: [{name: chat, placement: round-robin, endpoints: [${urls.map((url) => `{url: "${url}"}`).join(', ')}]${more}}]`

const messages = [{ role: 'user' as const, content: 'count' }]
const whole = (total: number): string => Array.from({ length: total }, (_, at) => `w${at} `).join('')

async function read(client: OpenAI, name = 'chat', signal?: AbortSignal) {
  const stream = await client.chat.completions.create(
    { model: name, messages, stream: true },
    { signal: signal ?? null },
  )
  let text = ''
  const chunks: OpenAI.ChatCompletionChunk[] = []
  for await (const chunk of stream) {
    chunks.push(chunk)
    text += chunk.choices[0]?.delta.content ?? ''
  }
  return { text, chunks }
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 2))
}

const fail = async (work: Promise<unknown>): Promise<InstanceType<typeof OpenAI.APIError>> => {
  try {
    await work
  } catch (error) {
    if (error instanceof OpenAI.APIError) return error
    throw error
  }
  throw new Error('it succeeded')
}

describe('the byte path', () => {
  it('gives the client its own name of the model, no usage chunk that it did not ask for, and one account', async () => {
    const up = await upstream(counting(4))
    const { server, client } = await serve(model([up.url]))
    const { text, chunks } = await read(client)
    expect(text).toBe(whole(4))
    expect(new Set(chunks.map((chunk) => chunk.model))).toEqual(new Set(['chat']))
    expect(chunks.every((chunk) => chunk.choices.length === 1)).toBe(true)
    expect(up.requests[0]?.body).toMatchObject({ model: 'org/real', stream_options: { include_usage: true } })
    await until(() => server.records.length > 0)
    expect(server.records).toMatchObject([
      {
        model: 'chat',
        endpoint: up.url,
        outcome: 'completed',
        httpStatus: 200,
        promptTokens: 5,
        completionTokens: 4,
        tokensEstimated: false,
      },
    ])
  })

  it('passes unknown fields, and the usage chunk that was asked for; answers whole requests too', async () => {
    const up = await upstream(counting(3))
    const { client, server } = await serve(model([up.url]))
    const body = {
      model: 'chat',
      messages,
      stream: true as const,
      stream_options: { include_usage: true },
      min_p: 0.1,
      x: { y: [1, 'é'] },
    }
    const stream = await client.chat.completions.create(body)
    let last: OpenAI.ChatCompletionChunk | undefined
    for await (const chunk of stream) last = chunk
    expect(last).toMatchObject({ model: 'chat', choices: [], usage: { completion_tokens: 3 } })
    expect(up.requests[0]?.body).toEqual({ ...body, model: 'org/real' })
    const answer = await client.chat.completions.create({ model: 'chat', messages })
    expect(answer).toMatchObject({ model: 'chat', choices: [{ message: { content: whole(3) } }] })
    await until(() => server.records.length === 2)
    expect(server.records[1]).toMatchObject({ promptTokens: 5, completionTokens: 3, tokensEstimated: false })
  })

  it("sends the endpoint's credentials, and none of the client's headers but the trace", async () => {
    const up = await upstream(counting(1))
    const { server } = await serve(
      `models: [{name: chat, endpoints: [{url: "${up.url}", apiKey: sk-endpoint, headers: {x-team: red}}]}]`,
    )
    const answer = await fetch(`${server.url}/v1/chat/completions`, {
      method: 'POST',
      headers: {
        authorization: 'Bearer sk-client-secret',
        cookie: 'a=b',
        'x-forwarded-for': '1.2.3.4',
        'content-type': 'application/json',
        traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
      },
      body: JSON.stringify({ model: 'chat', messages }),
    })
    expect(answer.status).toBe(200)
    const sent = up.requests[0]?.headers ?? {}
    expect(sent).toMatchObject({
      authorization: 'Bearer sk-endpoint',
      'x-team': 'red',
      traceparent: expect.stringMatching(/^00-/) as string,
    })
    expect(JSON.stringify(sent)).not.toMatch(/sk-client-secret|a=b|1\.2\.3\.4/)
    expect(JSON.stringify(server.logLines)).not.toMatch(/sk-/)
  })

  it('estimates usage where the upstream gives none, and marks it', async () => {
    const up = await upstream((response) => {
      response.write(chatFrame({ role: 'assistant', content: '' }))
      response.end(
        `${chatFrame({ content: 'a' })}${chatFrame({ content: 'b' })}${chatFrame({}, 'stop')}data: [DONE]\n\n`,
      )
    })
    const { server, client } = await serve(model([up.url]))
    await read(client)
    await until(() => server.records.length > 0)
    expect(server.records[0]).toMatchObject({ completionTokens: 2, tokensEstimated: true, outcome: 'completed' })
    expect(server.records[0]?.promptTokens).toBeGreaterThan(0)
  })

  it('relays embeddings as they are', async () => {
    const up = await upstream((response) => {
      response.end(
        '{"object":"list","model":"org/real","data":[{"index":0,"embedding":"AAAAPwAAAD8="}],"usage":{"prompt_tokens":3,"total_tokens":3}}',
      )
    })
    const { server, client } = await serve(model([up.url]))
    const result = await client.embeddings.create({ model: 'chat', input: 'a' })
    expect(result).toMatchObject({ model: 'chat', data: [{ embedding: [0.5, 0.5] }] })
    await until(() => server.records.length > 0)
    expect(server.records[0]).toMatchObject({ promptTokens: 3, completionTokens: 0, tokensEstimated: false })
  })

  it('keeps characters whole that the network cuts', async () => {
    const up = await upstream(async (response, request) => {
      const bytes = Buffer.from(`${chatFrame({ role: 'assistant', content: '日本語 🦙 é' })}${chatEnd(request, 1)}`)
      for (const byte of bytes) {
        response.write(Buffer.from([byte]))
        if (byte > 0x7f) await new Promise((resolve) => setTimeout(resolve, 1))
      }
      response.end()
    })
    const { client } = await serve(model([up.url]))
    expect((await read(client)).text).toBe('日本語 🦙 é')
  })

  it('reports a mistake of the client in the words of the engine, once', async () => {
    const up = await upstream((response) => {
      response
        .writeHead(400)
        .end(
          '{"object":"error","message":"max_tokens is too large","type":"BadRequestError","param":"max_tokens","code":400}',
        )
    })
    const other = await upstream(counting(1))
    const { client } = await serve(model([up.url, other.url]))
    const error = await fail(client.chat.completions.create({ model: 'chat', messages }))
    expect(error).toMatchObject({
      status: 400,
      param: 'max_tokens',
      message: expect.stringContaining('too large') as string,
    })
    expect(other.requests).toHaveLength(0)
  })
})

/** Each breaks the first replica in its own way; the client must not notice, and nothing must be lost. */
const faults: readonly (readonly [name: string, answer: UpstreamAnswer])[] = [
  ['resets the connection before the headers', (response) => response.socket?.resetAndDestroy()],
  ['closes the connection before the headers', (response) => response.socket?.destroy()],
  [
    'dies after the headers',
    (response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' }).flushHeaders()
      setTimeout(() => response.socket?.destroy(), 5)
    },
  ],
  [
    'dies after the first frame, which has no text',
    (response) => {
      response.write(chatFrame({ role: 'assistant', content: '' }), () => response.socket?.destroy())
    },
  ],
  ['answers with HTML', (response) => void response.setHeader('content-type', 'text/html').end('<html>Welcome</html>')],
  ['answers 502 with HTML', (response) => void response.writeHead(502).end('<html>Bad gateway</html>')],
  ['answers 503', (response) => void response.writeHead(503).end('{"error":"loading"}')],
  ['answers 429', (response) => void response.writeHead(429, { 'retry-after': '30' }).end('{"error":"busy"}')],
  ['sends a malformed event', (response) => void response.end('data: {"choices":[{]\n\n')],
  ['sends a flat error', (response) => void response.end('data: {"object":"error","message":"died","code":500}\n\n')],
  ['sends a detail', (response) => void response.end('data: {"detail":"Internal error"}\n\ndata: [DONE]\n\n')],
  ['gives the sequence up', (response) => void response.end(`${chatFrame({}, 'error')}data: [DONE]\n\n`)],
  ['sends [DONE] alone', (response) => void response.end('data: [DONE]\n\n')],
  ['answers 413 with HTML', (response) => void response.writeHead(413).end('<html>ingress</html>')],
  ['answers 405 with a text', (response) => void response.writeHead(405).end('no')],
  ['redirects', (response) => void response.writeHead(307, { location: 'https://elsewhere.invalid/' }).end()],
  ['answers with an error in JSON', (response) => void response.end('{"error":{"message":"died","code":500}}')],
  ['sends an error event', (response) => void response.end('data: {"error":{"message":"CUDA error","code":500}}\n\n')],
  [
    'sends an event past the limit',
    (response) => void response.end(`data: {"choices":[],"x":"${'x'.repeat(70_000)}"}\n\n`),
  ],
  ['ends without saying anything', (response) => void response.end()],
  ['accepts and never answers', () => undefined],
  [
    'streams nothing but comments',
    (response) => {
      const timer = setInterval(() => response.write(': ping\n\n'), 20)
      response.on('close', () => clearInterval(timer))
    },
  ],
]

describe('a replica that fails before the first token', () => {
  const limits = '\nlimits: {maxSseFrameBytes: 65536, firstTokenMs: 1s, probeTimeoutMs: 30s}'

  it.each(faults)('%s: another one answers', async (_name, fault) => {
    const bad = await upstream(fault)
    const good = await upstream(counting(5))
    const { server, client } = await serve(model([bad.url, good.url]) + limits)
    const results = await Promise.all([read(client), read(client)])
    for (const { text } of results) expect(text).toBe(whole(5))
    expect(bad.requests.length).toBeGreaterThan(0)
    await until(() => server.records.length === 2)
    for (const record of server.records) {
      expect(record).toMatchObject({ outcome: 'completed', endpoint: good.url, promptTokens: 5, completionTokens: 5 })
    }
  })

  it.each([
    ['refuses connections', 'http://127.0.0.1:1'],
    ['has a name that nobody knows', 'http://nobody.invalid'],
  ])('%s: it gets no requests', async (_name, url) => {
    const good = await upstream(counting(2))
    const { client } = await serve(model([url, good.url]))
    for (let at = 0; at < 3; at += 1) expect((await read(client)).text).toBe(whole(2))
  })

  it('speaks no TLS: it gets no requests', async () => {
    const plain = await upstream(counting(2))
    const good = await upstream(counting(2))
    const { client } = await serve(model([plain.url.replace('http:', 'https:'), good.url]))
    expect((await read(client)).text).toBe(whole(2))
    expect(plain.requests).toHaveLength(0)
  })

  it.each(['null', '{}', '[]', '"upstream connect error"', '{"detail":"Internal error"}', '{"choices":[]}'])(
    'answers %s where an answer was asked for: another one answers',
    async (body) => {
      const bad = await upstream((response) => void response.end(body))
      const good = await upstream(counting(3))
      const { client } = await serve(model([bad.url, good.url]))
      for (let at = 0; at < 2; at += 1) {
        const answer = await client.chat.completions.create({ model: 'chat', messages })
        expect(answer.choices[0]?.message.content).toBe(whole(3))
      }
      expect(bad.requests.length).toBeGreaterThan(0)
    },
  )

  it('fails alone: clients read our words and the request id, the log at debug the rest, unless told otherwise', async () => {
    const secret: UpstreamAnswer = (response) =>
      void response.writeHead(500).end('{"error":{"message":"key sk-upstream-secret at http://10.0.0.9 failed"}}')
    const bad = await upstream(secret)
    const start = async (settings: Parameters<typeof startTestServer>[1]) => {
      const server = await startTestServer([], settings, parseConfig(model([bad.url]), 'tokenmill.yaml', {}))
      closing.push(() => server.close(AbortSignal.abort()))
      const answer = await fetch(`${server.url}/v1/chat/completions`, {
        method: 'POST',
        headers: { 'x-request-id': 'req-asked-1' },
        body: JSON.stringify({ model: 'chat', messages, stream: true }),
      })
      return { server, text: await answer.text() }
    }
    const hidden = await start({ logLevel: 'debug' })
    expect(hidden.text).toContain('No endpoint of this model can serve now.')
    expect(hidden.text).toContain('req-asked-1')
    expect(hidden.text).not.toMatch(/sk-upstream|10\.0\.0\.9|127\.0\.0\.1/)
    expect(
      hidden.server.logLines.find((line) => line.includes('req-asked-1') && line.includes('sk-upstream-secret')),
    ).toBeDefined()
    const shown = await start({ exposeUpstreamErrors: true })
    expect(shown.text).toContain('sk-upstream-secret')
  })

  it('does not know a field that another kind of engine does: that one answers; none does: the field is named', async () => {
    const [a, b] = [await upstream(counting(2)), await upstream(counting(2))]
    const one = (url: string, engine: string) => `{url: "${url}", engine: ${engine}}`
    const of = (endpoints: string) => `models: [{name: chat, placement: round-robin, endpoints: [${endpoints}]}]`
    const both = await serve(of(`${one(a.url, 'sglang')}, ${one(b.url, 'vllm')}`))
    const ask = (server: TestServer) =>
      fetch(`${server.url}/v1/chat/completions`, {
        method: 'POST',
        body: JSON.stringify({ model: 'chat', messages, bad_words: ['x'] }),
      })
    for (let at = 0; at < 4; at += 1) expect((await ask(both.server)).status).toBe(200)
    expect({ a: a.requests.length, b: b.requests.length }).toEqual({ a: 0, b: 4 })
    const alone = await serve(of(one(a.url, 'sglang')))
    const refused = await ask(alone.server)
    expect(refused.status).toBe(400)
    expect(await refused.json()).toMatchObject({ error: { code: 'unsupported', param: 'bad_words' } })
  })

  it('dies of the request: a third one does not get it', async () => {
    const deadly: UpstreamAnswer = (response) => void response.socket?.destroy()
    const ups = [await upstream(deadly), await upstream(deadly), await upstream(deadly)]
    const { client } = await serve(`${model(ups.map(({ url }) => url))}\nlimits: {maxAttempts: 5, probeTimeoutMs: 30s}`)
    expect((await fail(client.chat.completions.create({ model: 'chat', messages }))).status).toBe(502)
    expect(ups.reduce((sum, { requests }) => sum + requests.length, 0)).toBe(2)
  })

  it('refuses our key: the only endpoint is asked once', async () => {
    const bad = await upstream((response) => void response.writeHead(401).end('{"error":{"message":"bad key sk-1"}}'))
    const { client } = await serve(model([bad.url]))
    const error = await fail(client.chat.completions.create({ model: 'chat', messages }))
    expect(error.status).toBe(503)
    expect(error.message).not.toContain('sk-1')
    expect(bad.requests).toHaveLength(1)
  })

  it('breaks off a whole answer: never a success, and another one answers', async () => {
    const body = '{"id":"x","model":"org/real","choices":[{"index":0,"message":{"role":"assistant","content":"w0 '
    const cut = await upstream((response) => {
      response.writeHead(200, { 'content-type': 'application/json' }).write(body, () => response.socket?.destroy())
    })
    const short = await upstream(
      (response) => void response.writeHead(200, { 'content-type': 'application/json' }).end(body),
    )
    const good = await upstream(counting(3))
    const { client } = await serve(model([cut.url, short.url, good.url]))
    const answer = await client.chat.completions.create({ model: 'chat', messages })
    expect(answer.choices[0]?.message.content).toBe(whole(3))
    const alone = await serve(model([cut.url]))
    expect(
      (await fail(alone.client.chat.completions.create({ model: 'chat', messages }))).status,
    ).toBeGreaterThanOrEqual(500)
  })
})

describe('a replica that dies after some tokens', () => {
  const dying =
    (words: number): UpstreamAnswer =>
    (response, request) => {
      const said = Array.from({ length: words }, (_, at) => chatFrame({ content: `w${at} ` })).join('')
      if (request.body['stream'] === true)
        response.write(chatFrame({ role: 'assistant', content: '' }) + said, () => response.socket?.destroy())
    }

  it.each([1, 2, 7])('after %i: another goes on without a word twice or missing, as the same answer', async (words) => {
    const bad = await upstream(dying(words))
    const good = await upstream(counting(10))
    const { server, client } = await serve(model([bad.url, good.url]))
    const { text, chunks } = await read(client)
    expect(text).toBe(whole(10))
    expect(new Set(chunks.map(({ id }) => id))).toEqual(new Set(['chatcmpl-up']))
    expect(new Set(chunks.map(({ created }) => created))).toEqual(new Set([7]))
    expect(chunks.filter(({ choices }) => choices[0]?.delta.role !== undefined)).toHaveLength(1)
    expect(chunks.at(-1)?.choices[0]?.finish_reason).toBe('stop')
    expect(good.requests.at(-1)?.body).toMatchObject({
      continue_final_message: true,
      add_generation_prompt: false,
      messages: [...messages, { role: 'assistant', content: whole(words) }],
    })
    await until(() => server.records.length > 0)
    expect(server.records).toMatchObject([
      { outcome: 'completed', endpoint: good.url, completionTokens: 10, tokensEstimated: true },
    ])
  })

  it('ends with one error event where the answer cannot be continued, and bills what was generated', async () => {
    const bad = await upstream(dying(3))
    const good = await upstream(counting(10))
    const { server, client } = await serve(model([bad.url, good.url]))
    const tools = [{ type: 'function' as const, function: { name: 'f' } }]
    let text = ''
    const stream = await client.chat.completions.create({ model: 'chat', messages, tools, stream: true })
    const error = await fail(
      (async () => {
        for await (const chunk of stream) text += chunk.choices[0]?.delta.content ?? ''
      })(),
    )
    expect(text).toBe(whole(3))
    expect(error.message).toMatch(/^An endpoint of this model failed\..* request id req-/)
    expect(error.message).not.toContain('127.0.0.1')
    await until(() => server.records.length > 0)
    expect(server.records).toMatchObject([
      { outcome: 'failed', errorCode: 'upstream_failed', completionTokens: 3, tokensEstimated: true },
    ])
    expect(good.requests).toHaveLength(0)
  })

  it('counts by the tokenizer what came with several tokens in a frame: no room is lost, and no prompt grows', async () => {
    const bad = await upstream((response) => {
      response.write(chatFrame({ role: 'assistant', content: 'w0 w1 w2 ' }), () => response.socket?.destroy())
    })
    const good = await upstream(counting(10))
    const { server } = await serve(model([bad.url, good.url]))
    const body = JSON.stringify({ model: 'chat', messages, stream: true, max_tokens: 50 })
    await (await fetch(`${server.url}/v1/chat/completions`, { method: 'POST', body })).text()
    expect(good.requests[0]?.body).toMatchObject({ max_tokens: 47 })
    await until(() => server.records.length > 0)
    expect(server.records).toMatchObject([{ outcome: 'completed', completionTokens: 10 }])
  })

  it('ends with an error where nobody is left to go on', async () => {
    const bad = await upstream(dying(3))
    const { server, client } = await serve(model([bad.url]))
    expect((await fail(read(client))).message).toMatch(/An endpoint of this model failed/)
    await until(() => server.records.length > 0)
    expect(server.records).toHaveLength(1)
  })
})

describe('a client that leaves', () => {
  const hanging =
    (first: string): UpstreamAnswer =>
    (response) =>
      void (first !== '' && response.write(first))

  it.each([
    ['while it waits for the first token of a stream', '', { stream: true }],
    ['within a stream', chatFrame({ role: 'assistant', content: 'a' }), { stream: true }],
    ['while it waits for a whole answer', '', {}],
  ])('%s: the upstream is told within 50 ms, and the account is closed', async (_name, first, more) => {
    const up = await upstream(hanging(first))
    const { server } = await serve(model([up.url]))
    const body = JSON.stringify({ model: 'chat', messages, ...more })
    const leaveDelayMs = async (base: string): Promise<number> => {
      const leave = new AbortController()
      const init = { method: 'POST', body, signal: leave.signal }
      const at = up.requests.length
      const answer = fetch(`${base}/v1/chat/completions`, init).catch(() => undefined)
      if (first !== '') await answer
      await until(() => up.requests.length > at)
      const leftAtMs = performance.now()
      leave.abort()
      await until(() => up.requests[at]?.abandonedAtMs !== undefined)
      return (up.requests[at]?.abandonedAtMs ?? Infinity) - leftAtMs
    }
    // On a busy machine the sockets themselves are late: what they take without a server between is not ours.
    const direct: number[] = []
    const through: number[] = []
    for (let client = 0; client < 5; client += 1) {
      direct.push(await leaveDelayMs(up.url))
      through.push(await leaveDelayMs(server.url))
    }
    expect(Math.min(...through)).toBeLessThan(50 + 3 * Math.max(...direct))
    await until(() => server.records.length === 5)
    expect(new Set(server.records.map(({ outcome }) => outcome))).toEqual(new Set(['cancelled']))
  })

  it.each([
    ['/v1/embeddings', { input: 'a' }],
    ['/v1/completions', { prompt: 'a', stream: true }],
    ['/v1/rerank', { query: 'a', documents: ['b'] }],
  ])('of %s: the upstream is told', async (path, fields) => {
    const up = await upstream(hanging(''))
    const { server } = await serve(model([up.url]))
    const leave = new AbortController()
    const body = JSON.stringify({ model: 'chat', ...fields })
    void fetch(server.url + path, { method: 'POST', body, signal: leave.signal }).catch(() => undefined)
    await until(() => up.requests.length > 0)
    leave.abort()
    await until(() => up.requests[0]?.abandonedAtMs !== undefined && server.records.length > 0)
  })

  it('1,000 clients that leave at random: every request has one account, and nothing is left behind', async () => {
    const up = await upstream(counting(40, 20))
    const { server } = await serve(`${model([up.url])}\nlimits: {probeTimeoutMs: 30s, maxInFlight: 1000}`)
    let seed = 1
    const random = (): number => (seed = (seed * 16_807) % 2_147_483_647) / 2_147_483_647
    let completed = 0
    const one = async (): Promise<void> => {
      const leave = new AbortController()
      // They stay, or leave at some time, or after some pieces of the answer: then they are surely known over there.
      const way = random()
      const timer = way > 0.3 && way < 0.65 ? setTimeout(() => leave.abort(), random() * 2_000) : undefined
      let piecesLeft = way < 0.65 ? Number.POSITIVE_INFINITY : 1 + Math.floor(random() * 8)
      try {
        const body = JSON.stringify({ model: 'chat', messages, stream: way > 0.65 || random() < 0.7 })
        const answer = await fetch(`${server.url}/v1/chat/completions`, { method: 'POST', body, signal: leave.signal })
        for await (const _ of answer.body ?? []) if ((piecesLeft -= 1) <= 0) leave.abort()
        if (answer.status === 200) completed += 1
      } catch {
        // It left.
      } finally {
        clearTimeout(timer)
      }
    }
    await Promise.all(Array.from({ length: 1_000 }, one))
    // Those that left before they connected are nobody's; everyone who came to an engine has an account.
    const arrived = () => new Set(up.requests.map(({ headers }) => headers['x-request-id']))
    const accounted = () => new Set(server.records.map(({ requestId }) => requestId))
    await until(() => accounted().size > 0 && [...arrived()].every((id) => accounted().has(String(id))))
    expect(completed).toBeGreaterThan(0)
    expect(server.records.length).toBeGreaterThan(completed)
    expect(up.requests.length).toBeGreaterThan(300)
    const ids = new Set(server.records.map(({ requestId }) => requestId))
    expect(ids.size).toBe(server.records.length)
    expect(server.records.filter(({ outcome }) => outcome === 'completed').length).toBeGreaterThanOrEqual(completed)
    expect(server.records.every(({ outcome }) => outcome === 'completed' || outcome === 'cancelled')).toBe(true)
    const text = await (await fetch(`${server.url}/metrics`)).text()
    expect(text).toMatch(/tokenmill_endpoint_in_flight\{[^}]*\} 0\n/)
    expect(text).not.toMatch(/tokenmill_endpoint_in_flight\{[^}]*\} [1-9]/)
    // Those whose clients had gone stopped over there too.
    const abandoned = up.requests.filter(({ abandonedAtMs }) => abandonedAtMs !== undefined).length
    expect(abandoned).toBeGreaterThan(30)
  }, 180_000)

  it('reads slowly: the upstream is held back, and gets every byte later', async () => {
    let sent = 0
    const total = 24 * 1024 * 1024
    const up = await upstream(async (response, request) => {
      const frame = chatFrame({ role: 'assistant', content: 'x'.repeat(60_000) })
      while (sent < total && !response.destroyed) {
        sent += frame.length
        if (!response.write(frame)) await new Promise((resolve) => response.once('drain', resolve))
      }
      response.end(chatEnd(request, 1))
    })
    const { server } = await serve(model([up.url]))
    const body = JSON.stringify({ model: 'chat', messages, stream: true })
    const answer = await fetch(`${server.url}/v1/chat/completions`, { method: 'POST', body })
    const reader = answer.body?.getReader()
    await reader?.read()
    let before = -1
    await expect
      .poll(
        () => {
          const still = before === sent
          before = sent
          return still
        },
        { interval: 100 },
      )
      .toBe(true)
    expect(sent).toBeLessThan(total)
    let received = 0
    for (;;) {
      const part = await reader?.read()
      if (part === undefined || part.done) break
      received += part.value.length
    }
    expect(received).toBeGreaterThan(total * 0.95)
    await until(() => server.records.length > 0)
    expect(server.records).toMatchObject([{ outcome: 'completed' }])
  }, 30_000)
})

describe('a fleet that cannot serve', () => {
  it('says 503, not 429, when every endpoint is down, and is not ready', async () => {
    const { server, client } = await serve(model(['http://127.0.0.1:1', 'http://127.0.0.1:2']))
    const error = await fail(client.chat.completions.create({ model: 'chat', messages }))
    expect(error.status).toBe(503)
    expect(error.message).toMatch(/^503 No endpoint of this model can serve now\./)
    expect((await fetch(`${server.url}/health`)).status).toBe(503)
    await until(() => server.records.length > 0)
    expect(server.records).toMatchObject([{ outcome: 'rejected', errorCode: 'unavailable' }])
  })

  it('tells the client when to come back when all are at their limits, and does not storm them', async () => {
    const busy: UpstreamAnswer = (response) =>
      void response.writeHead(429, { 'retry-after': '20' }).end('{"error":"busy"}')
    const [a, b] = [await upstream(busy), await upstream(busy)]
    const { client } = await serve(model([a.url, b.url]))
    for (let at = 0; at < 20; at += 1) {
      const error = await fail(client.chat.completions.create({ model: 'chat', messages }))
      expect(error.status).toBe(429)
      expect(Number(error.headers?.get('retry-after'))).toBeGreaterThan(10)
    }
    expect(a.requests.length + b.requests.length).toBe(2)
  })

  it('turns to the fallback model, under the name that the client asked for', async () => {
    const good = await upstream(counting(2))
    const { server, client } = await serve(
      `models: [{name: big, endpoints: [{url: "http://127.0.0.1:1"}], fallbacks: [small]}, {name: small, endpoints: [{url: "${good.url}"}]}]`,
    )
    const { text, chunks } = await read(client, 'big')
    expect(text).toBe(whole(2))
    expect(chunks[0]?.model).toBe('big')
    await until(() => server.records.length > 0)
    expect(server.records).toMatchObject([{ model: 'big', endpoint: good.url }])
  })
})

describe('a running fleet', () => {
  it('takes a new file over without dropping a stream, and keeps the old one where the new one cannot be', async () => {
    const slow = await upstream(counting(30, 5))
    const fresh = await upstream(counting(3))
    const { server, client } = await serve(model([slow.url]))
    const stream = read(client)
    await until(() => slow.requests.length > 0)
    await server.reconfigure(parseConfig(`${model([fresh.url])}\nlisten: {port: 1}`, 'tokenmill.yaml', {}))
    expect((await read(client)).text).toBe(whole(3))
    expect((await stream).text).toBe(whole(30))
    const missing = parseConfig(
      'models: [{name: chat, endpoints: [{engine: embedded, model: /absent.gguf}]}]',
      't.yaml',
      {},
    )
    await expect(server.reconfigure(missing)).rejects.toThrow(/absent/)
    expect((await read(client)).text).toBe(whole(3))
    expect(server.records.every(({ outcome }) => outcome === 'completed')).toBe(true)
  })

  it('keeps an ejected endpoint ejected when limits and weights change, and takes the new limits at once', async () => {
    const broken = await upstream((response) => void response.writeHead(500).end())
    let gate: Promise<void> = Promise.resolve()
    const answer = counting(2)
    const sound = await upstream((response, request) => void gate.then(() => answer(response, request)))
    const file = (weight: number, limits: string) =>
      `models: [{name: chat, placement: round-robin, endpoints: [{url: "${broken.url}", weight: ${weight}}, {url: "${sound.url}"}]}]\n` +
      `limits: {probeTimeoutMs: 30s, failuresToOpen: 1, openMs: 10m, ${limits}}`
    const { server, client } = await serve(file(1, 'maxQueue: 10'))
    for (let requests = 0; requests < 4; requests += 1) await read(client)
    const failures = broken.requests.length
    expect(failures).toBe(1)
    await server.reconfigure(parseConfig(file(2, 'maxQueue: 0, maxInFlight: 1'), 't.yaml', {}))
    for (let requests = 0; requests < 4; requests += 1) await read(client)
    expect(broken.requests).toHaveLength(failures)
    const { promise, resolve } = Promise.withResolvers<void>()
    gate = promise
    const first = read(client)
    await until(() => sound.requests.length === 9)
    expect((await fail(read(client))).code).toBe('queue_full')
    resolve()
    expect((await first).text).toBe(whole(2))
  })

  it('counts the choices of relayed answers, streamed or whole, as those of any other engine', async () => {
    const up = await upstream(counting(2))
    const { server, client } = await serve(model([up.url]))
    await read(client)
    await client.chat.completions.create({ model: 'chat', messages })
    const metrics = await (await fetch(`${server.url}/metrics`)).text()
    expect(metrics).toMatch(/vllm:request_success_total\{model_name="chat",finished_reason="stop"\} 2/)
  })

  it('sends a relayed request with min_tokens only where the engine knows it', async () => {
    const plain = await upstream(counting(2))
    const { client } = await serve(
      `models: [{name: chat, endpoints: [{url: "${plain.url}", engine: openai, model: org/real}]}]`,
    )
    const asked = { model: 'chat', messages, min_tokens: 4 }
    const error = await fail(client.chat.completions.create(asked))
    expect(error).toMatchObject({ status: 400, code: 'unsupported', param: 'min_tokens' })
    expect(plain.requests).toEqual([])
  })

  it('opens for the keys of its file, and for others after a change', async () => {
    const up = await upstream(counting(1))
    const [alice, bob] = [createKey(), createKey()]
    const withKey = (name: string, key: string) =>
      `${model([up.url])}\napiKeys: [{name: ${name}, hash: "${hashKey(key)}"}]`
    const { server } = await serve(withKey('alice', alice))
    const ask = (key: string) =>
      new OpenAI({ baseURL: `${server.url}/v1`, apiKey: key, maxRetries: 0 }).chat.completions.create({
        model: 'chat',
        messages,
      })
    await ask(alice)
    expect((await fail(ask(bob))).status).toBe(401)
    await server.reconfigure(parseConfig(withKey('bob', bob), 't.yaml', {}))
    await ask(bob)
    expect((await fail(ask(alice))).status).toBe(401)
    await until(() => server.records.length === 4)
    expect(server.records.map(({ keyName }) => keyName)).toEqual(['alice', undefined, 'bob', undefined])
  })

  it('fronts another Tokenmill, whose metrics tell its load', async () => {
    const engine = new ScriptedEngine('inner')
    const inner = await startTestServer(engine)
    closing.push(() => inner.close(AbortSignal.abort()))
    const { server, client } = await serve(model([inner.url]))
    const { text } = await read(client)
    expect(text).toBe('w0 w1 w2 w3 ')
    const list = await client.models.list()
    expect(list.data).toMatchObject([{ id: 'chat', max_model_len: 4096 }])
    await expect
      .poll(async () => await (await fetch(`${server.url}/metrics`)).text(), { timeout: 4000 })
      .toMatch(/tokenmill_endpoint_load_age_seconds\{/)
  })

  it('never contacts a path that is not listed, whatever the client asks for', async () => {
    const up = await upstream(counting(1))
    const { server } = await serve(model([up.url]))
    for (const path of [
      '/invocations',
      '/pooling',
      '/score',
      '/v1/chat/completions/../../score',
      '/v1/load_lora_adapter',
    ]) {
      const answer = await fetch(server.url + path, { method: 'POST', body: '{"model":"chat"}' })
      expect(answer.status).toBeGreaterThanOrEqual(400)
    }
    expect(up.requests.map(({ path }: UpstreamRequest) => path)).toEqual([])
  })
})
