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
