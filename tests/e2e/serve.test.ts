import net from 'node:net'
import OpenAI from 'openai'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { childrenOf, createTinyModel, startServe, until, type StartedServer } from './start-cli.ts'

let model: Awaited<ReturnType<typeof createTinyModel>>
let server: StartedServer
let client: OpenAI

beforeAll(async () => {
  model = await createTinyModel()
  server = await startServe('--model', model.file, '--slots', '4', '--ctx-total', '16384')
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

  it('scores a prompt without generating: the log-probabilities are those it would have been generated with', async () => {
    const { tokens } = (await (
      await fetch(`${server.url}/tokenize`, {
        method: 'POST',
        body: JSON.stringify({ prompt: 'Cut into many tokens.' }),
      })
    ).json()) as { tokens: number[] }
    const scoring = { model: 'tiny', prompt: tokens, max_tokens: 0, echo: true, logprobs: 2 }
    const { choices, usage } = await client.completions.create(scoring)
    const logprobs = choices[0]?.logprobs
    expect(choices[0]?.finish_reason).toBe('length')
    expect(choices[0]?.text).toContain('Cut into many tokens.')
    expect(usage).toMatchObject({ prompt_tokens: tokens.length, completion_tokens: 0 })
    expect(logprobs?.tokens).toHaveLength(tokens.length)
    // The first token has no predecessor; each other one is among the likeliest two, or stands beside them.
    expect(logprobs?.token_logprobs?.[0]).toBeNull()
    expect(logprobs?.top_logprobs?.[0]).toBeNull()
    for (let at = 1; at < tokens.length; at += 1) {
      const top = logprobs?.top_logprobs?.[at] ?? {}
      expect(top[logprobs?.tokens?.[at] ?? '']).toBe(logprobs?.token_logprobs?.[at])
      expect([2, 3]).toContain(Object.keys(top).length)
    }
    for (const at of [1, 4, tokens.length - 1]) {
      // A bias makes sure that it is drawn; log-probabilities are those before any bias.
      const bias = { [String(tokens[at])]: 100 }
      const drawing = { model: 'tiny', prompt: tokens.slice(0, at), max_tokens: 1, logprobs: 0, logit_bias: bias }
      const drawn = (await client.completions.create(drawing)).choices[0]?.logprobs
      expect(drawn?.tokens).toEqual([logprobs?.tokens?.[at]])
      expect(Math.abs((drawn?.token_logprobs?.[0] ?? 1) - (logprobs?.token_logprobs?.[at] ?? 0))).toBeLessThan(0.05)
    }
  })

  it('repeats the prompt before each of n choices, at once and streamed, with offsets into the whole text', async () => {
    const body = { ...fixed, prompt: 'one two three four', max_tokens: 4, n: 2, echo: true, logprobs: 1, seed: 5 }
    const { choices } = await client.completions.create(body)
    expect(choices.map(({ index }) => index)).toEqual([0, 1])
    // The prompt's prefix is cached by now: all its tokens are told all the same.
    expect(choices[0]?.logprobs?.tokens?.length).toBeGreaterThan(8)
    const texts = ['', '']
    const offsets: number[][] = [[], []]
    for await (const { choices } of await client.completions.create({ ...body, stream: true })) {
      for (const { index, text, logprobs } of choices) {
        texts[index] += text
        offsets[index]?.push(...(logprobs?.text_offset ?? []))
      }
    }
    for (const { index, text, logprobs } of choices) {
      expect(text.startsWith('one two three four')).toBe(true)
      expect(texts[index]).toBe(text)
      expect(offsets[index]).toEqual(logprobs?.text_offset)
    }
  })

  it('gets the best of several completions: that with the highest mean log-probability, and pays for all', async () => {
    const body = { model: 'tiny', prompt: 'one', max_tokens: 6, temperature: 1, seed: 1 }
    const all = await client.completions.create({ ...body, n: 4, logprobs: 0 })
    const means = all.choices.map(({ logprobs }) => {
      const values = logprobs?.token_logprobs ?? []
      return values.reduce((sum, value) => sum + value, 0) / values.length
    })
    const bestIndex = means.indexOf(Math.max(...means))
    const best = await client.completions.create({ ...body, best_of: 4 })
    expect(best.choices).toHaveLength(1)
    expect(best.choices[0]).toMatchObject({ index: 0, text: all.choices[bestIndex]?.text, logprobs: null })
    expect(best.usage?.completion_tokens).toBe(all.usage?.completion_tokens)
    const two = await client.completions.create({ ...body, best_of: 4, n: 2 })
    expect(two.choices.map(({ index }) => index)).toEqual([0, 1])
    expect(two.choices[0]?.text).toBe(best.choices[0]?.text)
  })

  it('lists the models, one by one too', async () => {
    expect((await client.models.list()).data).toMatchObject([
      { id: 'tiny', object: 'model', root: model.file, parent: null },
    ])
    expect(await client.models.retrieve('tiny')).toMatchObject({ id: 'tiny' })
  })

  it('is told which part of a schema leads nowhere, and which limit a large one passes', async () => {
    const refusal = async (schema: Record<string, unknown>) => {
      const json_schema = { name: 'answer', schema, strict: true }
      const body = { model: 'tiny', messages, response_format: { type: 'json_schema' as const, json_schema } }
      const error: unknown = await client.chat.completions.create(body).catch((caught: unknown) => caught)
      if (!(error instanceof OpenAI.BadRequestError)) throw new Error(`no refusal: ${JSON.stringify(error)}`)
      return error
    }
    const root = 'response_format.json_schema.schema'
    const itself = { type: 'object', properties: { next: { $ref: '#' } }, required: ['next'] }
    expect(await refusal(itself)).toMatchObject({ code: 'invalid_request', param: expect.stringContaining(root) })
    expect(await refusal({ $ref: '#' })).toMatchObject({
      code: 'invalid_request',
      param: expect.stringContaining(root),
    })
    expect(await refusal({ type: 'array', uniqueItems: true })).toMatchObject({
      code: 'unsupported',
      param: `${root}.uniqueItems`,
    })
    let deep: Record<string, unknown> = { type: 'null' }
    for (let level = 0; level < 200; level += 1) deep = { type: 'array', items: deep }
    expect(await refusal(deep)).toMatchObject({
      code: 'limit_exceeded',
      message: expect.stringMatching(/'max\w*Depth'/),
    })
    const many = Object.fromEntries(Array.from({ length: 30_000 }, (_, at) => [`p${at}`, { type: 'null' }]))
    expect(await refusal({ type: 'object', properties: many })).toMatchObject({
      code: 'limit_exceeded',
      message: expect.stringMatching(/'maxSchema\w+' is [\d,]+/),
    })
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
    const wrongMethod = await fetch(`${server.url}/v1/models`, { method: 'DELETE' })
    expect(wrongMethod.status).toBe(405)
    expect(wrongMethod.headers.get('allow')).toBe('GET, HEAD')
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

describe('an engine that hangs', () => {
  it('is ended and started again, its request failed by name', async () => {
    const hanging = await startServe('--model', model.file, '--slots', '2', '--max-silence-ms', '1s')
    const request = { ...fixed, messages, max_tokens: 3 }
    for (const pid of childrenOf(hanging.child.pid ?? 0)) process.kill(pid, 'SIGSTOP')
    await expect(hanging.client.chat.completions.create(request)).rejects.toMatchObject({
      code: 'engine_failed',
      message: expect.stringContaining('answered nothing for 1000 ms') as string,
    })
    expect((await hanging.client.chat.completions.create(request)).usage?.completion_tokens).toBe(3)
    expect(await hanging.stop()).toBe(0)
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
