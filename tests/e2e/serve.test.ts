import net from 'node:net'
import OpenAI from 'openai'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { childrenOf, createTinyModel, startServe, until, type StartedServer } from './start-cli.ts'

let model: Awaited<ReturnType<typeof createTinyModel>>
let server: StartedServer
let client: OpenAI

beforeAll(async () => {
  model = await createTinyModel()
  server = await startServe('--model', model.file, '--slots', '4', '--ctx', '16384')
  client = server.client
})

afterAll(async () => {
  expect(await server.stop()).toBe(0)
  await model.remove()
})

const messages = [{ role: 'user' as const, content: 'Tell me something.' }]
// Fixed lengths: random weights end where they like.
const fixed = { model: 'tiny', temperature: 0, ignore_eos: true }
const ask = (maxTokens: number, options?: OpenAI.RequestOptions) =>
  client.chat.completions.create({ ...fixed, messages, max_tokens: maxTokens }, options)
const stream = (maxTokens: number, options?: OpenAI.RequestOptions) =>
  client.chat.completions.create({ ...fixed, messages, max_tokens: maxTokens, stream: true }, options)

/** A metric's value, summed over its labels. */
async function metric(name: string, label = ''): Promise<number> {
  const lines = (await server.metrics())
    .split('\n')
    .filter((line) => line.startsWith(`${name}{`) && line.includes(label))
  return lines.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0)
}
const idle = () =>
  until(async () => (await metric('vllm:num_requests_running')) + (await metric('vllm:num_requests_waiting')) === 0)

describe('the official client', () => {
  it('chats, at once and streaming, with the same tokens', async () => {
    const whole = await ask(12)
    expect(whole.usage).toMatchObject({ completion_tokens: 12 })
    expect(whole.choices[0]).toMatchObject({ finish_reason: 'length', message: { role: 'assistant' } })
    let text = ''
    for await (const chunk of await stream(12)) text += chunk.choices[0]?.delta.content ?? ''
    expect(text).toBe(whole.choices[0]?.message.content)
    expect(text.length).toBeGreaterThan(0)
  })

  it('follows a stream with its own accumulator, for several choices', async () => {
    const runner = client.chat.completions.stream({
      ...fixed,
      messages,
      n: 2,
      max_tokens: 6,
      logprobs: true,
      top_logprobs: 2,
      stream_options: { include_usage: true },
    })
    const final = await runner.finalChatCompletion()
    expect(final.choices).toHaveLength(2)
    expect(final.usage).toMatchObject({ completion_tokens: 12 })
    for (const choice of final.choices) {
      const tokens = choice.logprobs?.content ?? []
      expect(tokens).toHaveLength(6)
      for (const token of tokens) {
        expect(token.logprob).toBeLessThanOrEqual(0)
        expect(token.top_logprobs).toHaveLength(2)
        expect(Array.isArray(token.bytes)).toBe(true)
      }
    }
  })

  it('completes texts and tokens, several at once, with echo and logprobs', async () => {
    const { tokens } = (await (
      await fetch(`${server.url}/tokenize`, {
        method: 'POST',
        body: JSON.stringify({ model: 'tiny', prompt: 'one two', add_special_tokens: false }),
      })
    ).json()) as { tokens: number[] }
    const parameters = { ...fixed, max_tokens: 3, echo: true, logprobs: 1 }
    const texts = await client.completions.create({ ...parameters, prompt: ['one two', 'three'] })
    expect(texts.choices.map((choice) => choice.index)).toEqual([0, 1])
    expect(texts.choices[0]?.text.startsWith('one two')).toBe(true)
    expect(texts.choices[1]?.text.startsWith('three')).toBe(true)
    expect(texts.usage).toMatchObject({ completion_tokens: 6 })
    const byTokens = await client.completions.create({ ...parameters, prompt: tokens })
    expect(byTokens.choices[0]?.logprobs?.tokens?.length).toBe(tokens.length + 3)
    expect(byTokens.choices[0]?.text).toContain('one two')
  })

  it('gets the best of several completions', async () => {
    const best = await client.completions.create({ model: 'tiny', prompt: 'one', max_tokens: 4, best_of: 3, seed: 1 })
    expect(best.choices).toHaveLength(1)
    expect(best.usage?.completion_tokens).toBeGreaterThanOrEqual(3)
  })

  it('lists the models, one by one too', async () => {
    expect((await client.models.list()).data).toMatchObject([
      { id: 'tiny', object: 'model', root: model.file, parent: null },
    ])
    expect(await client.models.retrieve('tiny')).toMatchObject({ id: 'tiny' })
  })

  it('is told what is wrong, as the error class that fits', async () => {
    await expect(client.chat.completions.create({ model: 'nope', messages })).rejects.toMatchObject({
      constructor: OpenAI.NotFoundError,
      code: 'model_not_found',
      message: expect.stringContaining('tiny') as string,
    })
    await expect(client.chat.completions.create({ model: 'tiny', messages, temperature: 9 })).rejects.toMatchObject({
      constructor: OpenAI.BadRequestError,
      param: 'temperature',
      requestID: expect.stringMatching(/^req-/) as string,
    })
    const long = [{ role: 'user' as const, content: 'word '.repeat(20_000) }]
    await expect(client.chat.completions.create({ model: 'tiny', messages: long })).rejects.toMatchObject({
      status: 400,
      code: 'context_length_exceeded',
    })
    await expect(client.embeddings.create({ model: 'tiny', input: [] })).rejects.toMatchObject({
      status: 400,
      param: 'input',
    })
  })
})

describe('a client that leaves', () => {
  it.each([
    [
      'mid-stream',
      async (signal: AbortSignal) => {
        for await (const _ of await stream(3000, { signal }))
          if ((await metric('vllm:num_requests_running')) > 0) return
      },
    ],
    [
      'on a request that is not streamed',
      async (signal: AbortSignal) => {
        ask(3000, { signal }).catch(() => undefined)
        await until(async () => (await metric('vllm:num_requests_running')) > 0)
      },
    ],
  ])('%s frees its place, and its tokens are accounted', async (_, begin) => {
    const cancelled = await metric('tokenmill_requests_total', 'outcome="cancelled"')
    const abort = new AbortController()
    await begin(abort.signal)
    abort.abort()
    await until(async () => (await metric('tokenmill_requests_total', 'outcome="cancelled"')) === cancelled + 1)
    await idle()
  })

  it('while queued never reaches the engine', async () => {
    const long = Array.from({ length: 4 }, () => new AbortController())
    for (const each of long) ask(3000, { signal: each.signal }).catch(() => undefined)
    await until(async () => (await metric('vllm:num_requests_running')) === 4)
    const prompts = await metric('vllm:prefix_cache_queries_total')
    const queued = new AbortController()
    ask(10, { signal: queued.signal }).catch(() => undefined)
    await until(async () => (await metric('vllm:num_requests_waiting')) === 1)
    queued.abort()
    await until(async () => (await metric('vllm:num_requests_waiting')) === 0)
    expect(await metric('vllm:prefix_cache_queries_total')).toBe(prompts)
    for (const each of long) each.abort()
    await idle()
  })

  it('in the middle of its own request does no harm', async () => {
    const { port } = new URL(server.url)
    const socket = net.connect(Number(port), '127.0.0.1')
    socket.write('POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1000\r\n\r\n{"mess')
    await new Promise((resolve) => setTimeout(resolve, 50))
    socket.destroy()
    expect((await ask(3)).usage?.completion_tokens).toBe(3)
  })
})

describe('many clients', () => {
  it('200 at once on 4 slots are all answered or refused with 429', async () => {
    const outcomes = await Promise.all(
      Array.from({ length: 200 }, async () => {
        try {
          return (await ask(4)).usage?.completion_tokens
        } catch (error) {
          if (error instanceof OpenAI.RateLimitError)
            return error.headers.get('retry-after-ms') === null ? 'no wait' : 429
          throw error
        }
      }),
    )
    const served = outcomes.filter((outcome) => outcome === 4).length
    const refused = outcomes.filter((outcome) => outcome === 429).length
    expect(served + refused).toBe(200)
    expect(served).toBeGreaterThanOrEqual(132)
    await idle()
  })
})

describe('an engine that is killed mid-stream', () => {
  it('ends the stream with an error event, starts again, and serves the next request', async () => {
    const seen: string[] = []
    const streaming = async () => {
      for await (const chunk of await stream(3000)) {
        seen.push(chunk.choices[0]?.delta.content ?? '')
        if (seen.length === 5) for (const pid of childrenOf(server.child.pid ?? 0)) process.kill(pid, 'SIGKILL')
      }
    }
    await expect(streaming()).rejects.toMatchObject({ code: 'engine_failed' })
    expect(seen.length).toBeGreaterThan(4)
    expect((await ask(3)).usage?.completion_tokens).toBe(3)
  })
})
