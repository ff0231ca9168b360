import net from 'node:net'
import { gzipSync } from 'node:zlib'
import OpenAI from 'openai'
import { afterEach, describe, expect, it } from 'vitest'
import { TokenmillError } from '../../src/core/index.ts'
import type { Engine } from '../../src/inference/index.ts'
import { ScriptedEngine, type Script } from '../scripted/engine.ts'
import { startTestServer, type TestServer } from '../scripted/server.ts'
import type { ServerSettings } from '../../src/server/index.ts'

const servers: TestServer[] = []
afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => server.close(AbortSignal.abort())))
})

async function start(engine: Engine, settings: Partial<ServerSettings> = {}) {
  const server = await startTestServer(engine, settings)
  servers.push(server)
  const client = new OpenAI({ baseURL: `${server.url}/v1`, apiKey: 'unused', maxRetries: 0 })
  return { server, client }
}

const scripted = (script: Script, maxRunning?: number) => new ScriptedEngine('scripted', () => script, maxRunning)
/** A turn of the event loop: a step of an engine. */
const turn = () => new Promise((resolve) => setImmediate(resolve))
const messages = [{ role: 'user' as const, content: 'one two three' }]

/** Resolves once the condition holds; the test's own timeout bounds it. */
async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 2))
}

describe('a chat', () => {
  it('is answered at once, and accounted once', async () => {
    const { server, client } = await start(new ScriptedEngine())
    const completion = await client.chat.completions.create({ model: 'scripted', messages, max_tokens: 3 })
    expect(completion).toMatchObject({
      object: 'chat.completion',
      model: 'scripted',
      choices: [{ index: 0, message: { role: 'assistant', content: 'w0 w1 w2 ' }, finish_reason: 'length' }],
      usage: { prompt_tokens: 3, completion_tokens: 3, total_tokens: 6, prompt_tokens_details: { cached_tokens: 0 } },
    })
    await until(() => server.records.length > 0)
    expect(server.records).toMatchObject([
      {
        operation: 'POST /v1/chat/completions',
        model: 'scripted',
        endpoint: 'scripted:scripted',
        outcome: 'completed',
        httpStatus: 200,
        promptTokens: 3,
        completionTokens: 3,
      },
    ])
  })

  it('streams: role first, text, reason, then usage without choices', async () => {
    const { client } = await start(new ScriptedEngine())
    const stream = await client.chat.completions.create({
      model: 'scripted',
      messages,
      max_tokens: 2,
      stream: true,
      stream_options: { include_usage: true },
    })
    const chunks: OpenAI.ChatCompletionChunk[] = []
    for await (const chunk of stream) chunks.push(chunk)
    expect(chunks.map((chunk) => chunk.choices[0]?.delta)).toEqual([
      { role: 'assistant', content: '' },
      { content: 'w0 ' },
      { content: 'w1 ' },
      {},
      undefined,
    ])
    expect(chunks.map((chunk) => chunk.choices[0]?.finish_reason)).toEqual([null, null, null, 'length', undefined])
    expect(new Set(chunks.map((chunk) => chunk.id)).size).toBe(1)
    expect(chunks.at(-1)?.usage).toMatchObject({ prompt_tokens: 3, completion_tokens: 2, total_tokens: 5 })
    expect(chunks.slice(0, -1).every((chunk) => chunk.usage === null)).toBe(true)
  })

  it('is answered at llama-server’s paths in its shapes, whole and streamed', async () => {
    const engine = new ScriptedEngine('scripted', () => ({ texts: ['one ', 'two'] }))
    const { server } = await start(engine)
    const ask = async (path: string, body: object): Promise<string> => {
      const response = await fetch(`${server.url}${path}`, { method: 'POST', body: JSON.stringify(body) })
      expect(response.status).toBe(200)
      return await response.text()
    }
    expect(JSON.parse(await ask('/completion', { prompt: 'a b', n_predict: 5 }))).toMatchObject({
      content: 'one two',
      stop: true,
      stop_type: 'eos',
      tokens_evaluated: 2,
      tokens_predicted: 2,
    })
    const frames = (await ask('/completion', { prompt: 'a b', stream: true }))
      .split('\n\n')
      .filter((frame) => frame !== '')
    const events = frames.map((frame) => JSON.parse(frame.replace('data: ', '')) as Record<string, unknown>)
    expect(events.map(({ content, stop }) => [content, stop])).toEqual([
      ['one ', false],
      ['two', false],
      ['', true],
    ])
    expect(JSON.parse(await ask('/chat/completions', { messages }))).toMatchObject({ object: 'chat.completion' })
    expect(JSON.parse(await ask('/tokenize', { content: 'a b' }))).toMatchObject({ tokens: [1, 2] })
  })

  it('streams a call: its first chunk says content null, as OpenAI’s do', async () => {
    const call = { type: 'toolCall', index: 0, call: 0, id: 'c1', name: 'f', arguments: '{}', tokens: 1 } as const
    const finished = { type: 'finished', index: 0, reason: 'toolCalls' } as const
    const { client } = await start(new ScriptedEngine('scripted', () => ({ events: [call, finished] })))
    const stream = await client.chat.completions.create({
      model: 'scripted',
      messages,
      tools: [{ type: 'function', function: { name: 'f' } }],
      stream: true,
    })
    const deltas: unknown[] = []
    for await (const chunk of stream) deltas.push(chunk.choices[0]?.delta)
    expect(deltas[0]).toEqual({ role: 'assistant', content: null })
    expect(deltas[1]).toMatchObject({ tool_calls: [{ id: 'c1' }] })
  })

  it('names in every answer the fingerprint of the engine, where it has one', async () => {
    const engine = Object.assign(new ScriptedEngine(), { fingerprint: 'fp_1' })
    const { client } = await start(engine)
    const answer = await client.chat.completions.create({ model: 'scripted', messages })
    expect(answer.system_fingerprint).toBe('fp_1')
    const stream = await client.completions.create({ model: 'scripted', prompt: 'a', stream: true })
    for await (const chunk of stream) expect(chunk.system_fingerprint).toBe('fp_1')
  })

  it.each([
    ['min_tokens', { min_tokens: 2 }],
    ['stop_token_ids', { stop_token_ids: [7] }],
  ])('with %s is refused where the engine does not know it', async (param, extras) => {
    const { server } = await start(new ScriptedEngine())
    const body = JSON.stringify({ model: 'scripted', messages, ...extras })
    const response = await fetch(`${server.url}/v1/chat/completions`, { method: 'POST', body })
    expect(response.status).toBe(400)
    expect(await response.json()).toMatchObject({ error: { code: 'unsupported', param } })
  })

  it('that comes compressed is refused by that name', async () => {
    const { server } = await start(new ScriptedEngine())
    const body = gzipSync(JSON.stringify({ model: 'scripted', messages }))
    const headers = { 'content-encoding': 'gzip' }
    const response = await fetch(`${server.url}/v1/chat/completions`, { method: 'POST', headers, body })
    expect(response.status).toBe(400)
    expect(await response.json()).toMatchObject({ error: { code: 'unsupported', param: 'content-encoding' } })
  })

  it('is cancelled at the engine when the client leaves, streaming or not, and what was generated is accounted', async () => {
    for (const stream of [true, false]) {
      const engine = scripted({ beforeToken: (token) => (token < 2 ? undefined : new Promise(() => undefined)) })
      const { server, client } = await start(engine)
      const abort = new AbortController()
      const asked = client.chat.completions.create(
        { model: 'scripted', messages, stream, max_tokens: 9 },
        { signal: abort.signal },
      )
      if (stream) await asked
      else asked.catch(() => undefined)
      await until(() => engine.running === 1)
      await new Promise((resolve) => setTimeout(resolve, 20))
      abort.abort()
      await until(() => server.records.length === 1)
      expect(engine).toMatchObject({ running: 0, cancelled: 1 })
      expect(server.records).toMatchObject([{ outcome: 'cancelled', promptTokens: 3, completionTokens: 2, stream }])
    }
  })

  it('that fails before its first byte has its own status; after it, a last error event', async () => {
    const error = new TokenmillError('engine_failed', 'The engine died.')
    const early = await start(scripted({ failAt: { token: 0, error } }))
    const refused: unknown = await early.client.chat.completions
      .create({ model: 'scripted', messages })
      .catch((thrown: unknown) => thrown)
    expect(refused).toMatchObject({ status: 500, code: 'engine_failed', type: 'server_error', param: null })

    const late = await start(scripted({ beforeToken: turn, failAt: { token: 2, error } }))
    const seen: string[] = []
    const streaming = async () => {
      const stream = await late.client.chat.completions.create({ model: 'scripted', messages, stream: true })
      for await (const chunk of stream) seen.push(chunk.choices[0]?.delta.content ?? '')
    }
    await expect(streaming()).rejects.toMatchObject({ code: 'engine_failed' })
    expect(seen.join('')).toBe('w0 w1 ')
    expect(late.server.records).toMatchObject([
      { outcome: 'failed', errorCode: 'engine_failed', completionTokens: 2, httpStatus: 200 },
    ])
  })
})

describe('a client that does not read', () => {
  /** 64 KiB a token: more than the socket buffers of both sides hold after some tokens. */
  const floods = () => scripted({ texts: Array.from({ length: 2000 }, () => 'x'.repeat(65_536)), beforeToken: turn })
  const request = JSON.stringify({ model: 'scripted', messages, stream: true })
  const post = `POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-length: ${request.length}\r\n\r\n${request}`
  const connect = (url: string) => {
    const socket = net.connect(Number(new URL(url).port), '127.0.0.1')
    socket.on('error', () => undefined)
    socket.pause()
    socket.write(post)
    return socket
  }

  it('holds the engine back, and gets every token later', async () => {
    const told: number[] = []
    const engine = scripted({
      texts: Array.from({ length: 500 }, () => 'x'.repeat(65_536)),
      beforeToken: (token) => {
        told.push(token)
        return turn()
      },
    })
    const { server } = await start(engine)
    const socket = connect(server.url)
    await until(() => told.length > 0)
    for (let before = -1; told.length !== before;) {
      before = told.length
      await new Promise((resolve) => setTimeout(resolve, 100))
    }
    expect(told.length).toBeLessThan(400)
    let bytes = 0
    socket.on('data', (chunk: Buffer) => (bytes += chunk.length))
    socket.resume()
    await until(() => server.records.length === 1)
    expect(server.records).toMatchObject([{ outcome: 'completed', completionTokens: 500 }])
    await until(() => bytes > 500 * 65_536)
    socket.destroy()
  })

  it('is given up after maxWriteStallMs, and what was generated is accounted', async () => {
    const engine = floods()
    const { server } = await start(engine, { maxWriteStallMs: 200 })
    const socket = connect(server.url)
    await until(() => server.records.length === 1)
    expect(engine).toMatchObject({ running: 0, cancelled: 1 })
    expect(server.records).toMatchObject([{ outcome: 'cancelled' }])
    expect(server.records[0]?.completionTokens).toBeGreaterThan(0)
    socket.destroy()
  })
})

describe('a full server', () => {
  it('queues in order, then refuses with 429, Retry-After, position and limit', async () => {
    const gate = Promise.withResolvers<void>()
    const engine = scripted({ beforePrefill: gate.promise }, 1)
    const { client } = await start(engine, { maxQueue: 2 })
    const ask = () => client.chat.completions.create({ model: 'scripted', messages })
    const first = ask()
    await until(() => engine.running === 1)
    const waiting = [ask(), ask()]
    const metrics = async () => await (await fetch(`${client.baseURL}/metrics`)).text()
    while (!(await metrics()).includes('vllm:num_requests_waiting{model_name="scripted"} 2')) await Promise.resolve()
    const refused: unknown = await ask().catch((error: unknown) => error)
    expect(refused).toMatchObject({ status: 429, code: 'queue_full' })
    const { headers, error } = refused as { headers: Headers; error: { details: object } }
    expect(Number(headers.get('retry-after-ms'))).toBeGreaterThan(0)
    expect(Number(headers.get('retry-after'))).toBeGreaterThan(0)
    expect(error.details).toMatchObject({ limit: 'maxQueue', maximum: 2, actual: 2, queuePosition: 2 })
    gate.resolve()
    await Promise.all([first, ...waiting])
    expect(engine.peak).toBe(1)
  })
})
