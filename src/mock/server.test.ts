import OpenAI from 'openai'
import { afterEach, describe, expect, it } from 'vitest'
import { defaultValues } from '../core/index.ts'
import { SseReader } from '../protocol/index.ts'
import { mockOptions, type MockOptions } from './options.ts'
import { faultKinds } from './faults.ts'
import { startMock, type MockServer } from './server.ts'
import { toMockSettings } from './settings.ts'

const quick = { port: 0, ttft: 'fixed:5ms', itl: 'fixed:2ms' }
let running: MockServer[] = []

async function start(options: Partial<MockOptions> = {}): Promise<MockServer> {
  const mock = await startMock(toMockSettings({ ...defaultValues(mockOptions), ...quick, ...options }))
  running.push(mock)
  return mock
}

function client(mock: MockServer): OpenAI {
  return new OpenAI({ baseURL: mock.url, apiKey: 'any', maxRetries: 0 })
}

const chat = { model: 'mock', messages: [{ role: 'user' as const, content: 'one two three' }] }

afterEach(async () => {
  await Promise.all(running.map((mock) => mock.close()))
  running = []
})

/** Raw data lines of a streamed chat, read until the body ends or breaks. */
async function streamData(mock: MockServer, headers: Record<string, string>, maxTokens = 8): Promise<string[]> {
  const body = JSON.stringify({ ...chat, stream: true, max_tokens: maxTokens, stream_options: { include_usage: true } })
  const response = await fetch(`${mock.url}/chat/completions`, { method: 'POST', body, headers })
  const reader = new SseReader({ maxEventBytes: 1 << 20 })
  const lines: string[] = []
  if (response.body === null) return lines
  try {
    for await (const chunk of response.body) reader.push(chunk, (event) => lines.push(event.data))
  } catch {
    lines.push('(cut)')
  }
  return lines
}

describe('startMock()', () => {
  it('serves chats, completions, embeddings and models to the official client', async () => {
    const mock = await start()
    const openai = client(mock)
    const answer = await openai.chat.completions.create({ ...chat, max_tokens: 7 })
    expect(answer.choices[0]?.message.content?.trim().split(' ')).toHaveLength(7)
    expect(answer.usage).toMatchObject({ prompt_tokens: 4, completion_tokens: 7, total_tokens: 11 })
    const stream = openai.chat.completions.stream({ ...chat, max_tokens: 5, stream_options: { include_usage: true } })
    const final = await stream.finalChatCompletion()
    expect(final.choices[0]?.finish_reason).toBe('length')
    expect(final.usage?.completion_tokens).toBe(5)
    const text = await openai.completions.create({ model: 'mock', prompt: 'a b', max_tokens: 3 })
    expect(text.usage?.prompt_tokens).toBe(2)
    const vectors = await openai.embeddings.create({ model: 'mock', input: ['a', 'b', 'a'] })
    expect(vectors.data[0]?.embedding).toEqual(vectors.data[2]?.embedding)
    expect(Math.hypot(...(vectors.data[1]?.embedding ?? []))).toBeCloseTo(1, 5)
    expect((await openai.models.list()).data.map((model) => model.id)).toEqual(['mock'])
  })

  it('gives several answers to one prompt, all in one record', async () => {
    const mock = await start()
    const { choices, usage } = await client(mock).chat.completions.create({ ...chat, n: 2, max_tokens: 5 })
    expect(choices.map((choice) => choice.message.content?.trim().split(' ').length)).toEqual([5, 5])
    expect(choices[0]?.message.content).not.toBe(choices[1]?.message.content)
    expect(usage).toMatchObject({ prompt_tokens: 4, completion_tokens: 10 })
    await expect.poll(() => mock.records()[0]).toMatchObject({ outcome: 'completed', writeTokens: [10] })
  })

  it('opens a stream without the role where the server that it stands for does', async () => {
    const mock = await start({ roleChunk: false })
    const lines = await streamData(mock, {}, 3)
    expect(lines).toHaveLength(3 + 3)
    expect(lines[0]).toContain('"content":" ')
  })

  it('tells its load in vLLM’s metrics under a step model, and is empty once its clients have left', async () => {
    const mock = await start({ steps: 'base=5ms,seq=5ms', kvTokens: 4096, contextTokens: 4096 })
    const clients = new AbortController()
    const ask = () => client(mock).chat.completions.create({ ...chat, max_tokens: 1000 }, { signal: clients.signal })
    const load = Promise.allSettled([ask(), ask(), ask(), ask()])
    await expect.poll(() => mock.totals().running).toBe(4)
    const metrics = await (await fetch(mock.url.replace('/v1', '/metrics'))).text()
    expect(metrics).toMatch(/^vllm:num_requests_running\{.*\} 4$/m)
    expect(metrics).toMatch(/^vllm:kv_cache_usage_perc\{.*\} 0\.\d+$/m)
    clients.abort()
    await load
    await expect.poll(() => mock.totals().running).toBe(0)
  })

  it('repeats lengths, texts and faults under one seed, and changes them under another', async () => {
    const read = async (seed: number): Promise<unknown[]> => {
      const mock = await start({ seed, outputTokens: 'uniform:3,9', fault: ['noUsage:0.5'] })
      const all: unknown[] = []
      for (let i = 0; i < 6; i += 1) {
        const { choices, usage } = await client(mock).chat.completions.create({ ...chat, max_tokens: 50 })
        all.push([choices[0]?.message.content, usage])
      }
      return all
    }
    const first = await read(7)
    expect(await read(7)).toEqual(first)
    expect(await read(8)).not.toEqual(first)
  })

  it('records a write time per chunk that follows its latency model', async () => {
    const mock = await start({ ttft: 'fixed:40ms', itl: 'fixed:10ms' })
    await streamData(mock, { 'x-request-id': 'r-1' }, 11)
    const [record] = mock.records()
    expect(record).toMatchObject({ requestId: 'r-1', outcome: 'completed', promptTokens: 4, fault: undefined })
    const writes = record?.writesMs ?? []
    expect(writes).toHaveLength(11)
    // Timers fire late, never early by more than their grain of 1 ms; lateness of one does not delay the next.
    expect((writes[0] ?? 0) - (record?.receivedMs ?? 0)).toBeGreaterThan(39)
    expect((writes[10] ?? 0) - (record?.receivedMs ?? 0)).toBeGreaterThan(139)
  })

  it('puts several tokens in a chunk, and running usage on each when asked', async () => {
    const mock = await start({ tokensPerChunk: 'fixed:3' })
    await streamData(mock, {}, 8)
    expect(mock.records()[0]?.writeTokens).toEqual([3, 3, 2])
  })

  it('reports the blocks of a prompt that it has seen before as cached', async () => {
    const mock = await start({ cacheBlockTokens: 4 })
    const long = Array.from({ length: 14 }, (_, index) => `w${index}`).join(' ')
    const ask = async (content: string): Promise<number | undefined> => {
      const messages = [{ role: 'user' as const, content }]
      const answer = await client(mock).chat.completions.create({ model: 'mock', messages, max_tokens: 1 })
      return answer.usage?.prompt_tokens_details?.cached_tokens
    }
    expect(await ask(long)).toBe(0)
    expect(await ask(`${long} and more`)).toBe(12)
    expect(await ask(`other ${long}`)).toBe(0)
  })

  it('frees its place when the client goes away, and says so in the record', async () => {
    const mock = await start({ itl: 'fixed:1s' })
    const controller = new AbortController()
    const stream = await client(mock).chat.completions.create(
      { ...chat, stream: true, max_tokens: 50 },
      { signal: controller.signal },
    )
    for await (const chunk of stream) if (chunk.choices[0]?.delta.content) controller.abort()
    await expect.poll(() => mock.records()[0]?.outcome).toBe('cancelled')
    expect(mock.totals().running).toBe(0)
  })

  it('refuses with 429 and Retry-After beyond its rate, and beyond its line', async () => {
    const limited = await start({ requestsPerSecond: 1 })
    await client(limited).chat.completions.create({ ...chat, max_tokens: 1 })
    const refused = client(limited).chat.completions.create({ ...chat, max_tokens: 1 })
    await expect(refused).rejects.toMatchObject({ status: 429, code: 'rate_limit_exceeded' })
    const narrow = await start({ maxRunning: 1, maxQueue: 0, itl: 'fixed:1s' })
    const controller = new AbortController()
    const first = client(narrow).chat.completions.create({ ...chat, max_tokens: 9 }, { signal: controller.signal })
    await expect.poll(() => narrow.totals().running).toBe(1)
    await expect(client(narrow).chat.completions.create(chat)).rejects.toMatchObject({ status: 429 })
    controller.abort()
    await expect(first).rejects.toThrow()
  })

  it('answers bad requests in OpenAI’s error shape', async () => {
    const mock = await start({ apiKey: 'secret' })
    await expect(client(mock).models.list()).rejects.toMatchObject({ status: 401, code: 'invalid_api_key' })
    const openai = new OpenAI({ baseURL: mock.url, apiKey: 'secret', maxRetries: 0 })
    const wrong = { model: 'nobody', messages: chat.messages }
    await expect(openai.chat.completions.create(wrong)).rejects.toMatchObject({ status: 404, code: 'model_not_found' })
    const none = openai.chat.completions.create({ ...chat, n: 0 })
    await expect(none).rejects.toMatchObject({ status: 400, param: 'n' })
    const long = { ...chat, max_tokens: 200_000 }
    await expect(openai.chat.completions.create(long)).rejects.toThrow(/contextTokens.* is 131072 tokens/)
  })

  it('commits each fault that it knows', async () => {
    const mock = await start()
    const seen: Record<string, string[]> = {}
    for (const kind of Object.keys(faultKinds)) {
      if (kind === 'hang' || kind === 'silent' || kind === 'refuse') continue
      seen[kind] = await streamData(mock, { 'x-mock-fault': `${kind}:1:20ms` })
    }
    const last = (kind: string): string | undefined => seen[kind]?.at(-1)
    expect(last('disconnect')).toBe('(cut)')
    expect(seen['disconnect']).toHaveLength(1 + 4 + 1)
    expect(last('truncate')).toContain('"content"')
    expect(last('errorEvent')).toContain('"error"')
    expect(seen['malformed']?.some((line) => line.endsWith('"del'))).toBe(true)
    expect(seen['stall']).toHaveLength(1 + 8 + 3)
    expect(seen['empty']).toHaveLength(1 + 3)
    expect(seen['noUsage']).toHaveLength(1 + 8 + 2)
    expect(seen['wrongUsage']?.at(-2)).toContain('"completion_tokens":80')
    for (const kind of ['error', 'unavailable', 'rateLimit', 'html', 'noStream']) expect(seen[kind]).toEqual([])
    const refused = fetch(`${mock.url}/chat/completions`, {
      method: 'POST',
      body: JSON.stringify(chat),
      headers: { 'x-mock-fault': 'refuse' },
    })
    await expect(refused).rejects.toThrow()
  })
})
