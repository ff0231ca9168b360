import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import type { GenerationEvent, GenerationRequest, MessagePart } from '../inference/index.ts'
import type { EndpointSettings } from './endpoint.ts'
import { OpenAiEngine } from './openai-engine.ts'
import { defaultLimits, testSettings } from './testing.ts'

const never = new AbortController().signal
const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

type Answer = (body: Record<string, unknown>, response: ServerResponse, request: IncomingMessage) => void

/** An engine of the given kind: its list of models, its health, and the answers that the test gives. */
async function start(
  owner: string,
  answers: Readonly<Record<string, Answer>>,
  overrides: Partial<EndpointSettings> = {},
): Promise<{ engine: OpenAiEngine; asked: string[] }> {
  const asked: string[] = []
  const all: Readonly<Record<string, Answer>> = {
    '/v1/models': (_body, response) =>
      response.end(JSON.stringify({ object: 'list', data: [{ id: 'org/m', owned_by: owner, max_model_len: 512 }] })),
    '/health': (_body, response) => response.end(),
    ...answers,
  }
  const server = createServer((request, response) => {
    const path = request.url ?? ''
    asked.push(path)
    const pieces: Buffer[] = []
    request.on('data', (piece: Buffer) => pieces.push(piece))
    request.on('end', () => {
      const answer = all[path] ?? (path.startsWith('/metrics?') ? all['/metrics?'] : undefined)
      const text = Buffer.concat(pieces).toString()
      if (answer === undefined) response.writeHead(404).end('{"detail":"Not Found"}')
      else answer(text === '' ? {} : (JSON.parse(text) as Record<string, unknown>), response, request)
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  cleanups.push(() => new Promise((resolve) => server.close(resolve)))
  cleanups.push(() => server.closeAllConnections())
  const engine = new OpenAiEngine(testSettings(`http://127.0.0.1:${(server.address() as AddressInfo).port}`, overrides))
  cleanups.push(() => engine.close())
  await engine.ready(AbortSignal.timeout(5000))
  return { engine, asked }
}

function chatRequest(overrides: Partial<GenerationRequest> = {}): GenerationRequest {
  return {
    id: 'r1',
    model: 'org/m',
    input: {
      kind: 'chat',
      chat: {
        messages: [{ role: 'user', content: 'Hi' }],
        tools: [],
        toolChoice: { kind: 'auto' },
        parallelToolCalls: true,
        reasoningEffort: undefined,
        templateVariables: {},
        continueFinalMessage: false,
      },
    },
    n: 1,
    maxTokens: 9,
    stop: [],
    ignoreEos: false,
    sampling: {
      temperature: 0,
      topP: 1,
      topK: 0,
      minP: 0,
      presencePenalty: 0,
      frequencyPenalty: 0,
      repetitionPenalty: 1,
      logitBias: new Map(),
      seed: undefined,
    },
    logprobs: undefined,
    promptLogprobs: undefined,
    constraint: undefined,
    deadlineMs: undefined,
    affinityKey: undefined,
    ...overrides,
  }
}

const stream =
  (...chunks: readonly unknown[]): Answer =>
  (_body, response) => {
    response.setHeader('content-type', 'text/event-stream')
    for (const chunk of chunks) response.write(`data: ${typeof chunk === 'string' ? chunk : JSON.stringify(chunk)}\n\n`)
    response.end()
  }

const chunk = (delta: object, finish: string | null = null) => ({
  choices: [{ index: 0, delta, finish_reason: finish }],
})

async function collect(events: AsyncIterable<GenerationEvent>): Promise<GenerationEvent[]> {
  const all: GenerationEvent[] = []
  for await (const event of events) all.push(event)
  return all
}

describe('OpenAiEngine', () => {
  it.each([
    ['vllm', 'vllm', {}],
    ['sglang', 'sglang', {}],
    ['llamacpp', 'llama-server', {}],
    ['tensorrt_llm', 'trtllm', {}],
    ['tokenmill', 'tokenmill', {}],
    ['someone', 'openai', {}],
    ['someone', 'vllm', { '/version': '{"version":"0.11"}' }],
    ['someone', 'sglang', { '/get_model_info': '{"model_path":"x"}' }],
    ['someone', 'llama-server', { '/props': '{"default_generation_settings":{}}' }],
  ])('finds out that models owned by %s, with %s pages, are served by it', async (owner, kind, pages) => {
    const answers = Object.fromEntries(
      Object.entries(pages).map(([path, body]): [string, Answer] => [path, (_body, response) => response.end(body)]),
    )
    const { engine } = await start(owner, answers)
    expect(engine.kind).toBe(kind)
    expect(engine.models()).toMatchObject([{ name: 'org/m', contextTokens: 512 }])
    expect(engine.status().state).toBe('ready')
  })

  it('generates: text, thinking, tool calls, the end and usage, in the language of all rooms', async () => {
    let sent: Record<string, unknown> = {}
    const answer = stream(
      chunk({ role: 'assistant', content: '' }),
      chunk({ reasoning: 'hm' }),
      chunk({ content: 'Héllo' }),
      chunk({ tool_calls: [{ index: 0, id: 'c1', type: 'function', function: { name: 'f', arguments: '' } }] }),
      chunk({ tool_calls: [{ index: 0, function: { arguments: '{"a":1}' } }] }),
      chunk({}, 'tool_calls'),
      { choices: [], usage: { prompt_tokens: 4, completion_tokens: 5, prompt_tokens_details: { cached_tokens: 2 } } },
      '[DONE]',
    )
    const { engine } = await start('vllm', {
      '/v1/chat/completions': (body, response, request) => {
        sent = body
        answer(body, response, request)
      },
    })
    expect(await collect(engine.generate(chatRequest(), never))).toEqual([
      { type: 'reasoning', index: 0, text: 'hm', tokens: 1 },
      { type: 'text', index: 0, text: 'Héllo', tokens: 1 },
      { type: 'toolCall', index: 0, call: 0, id: 'c1', name: 'f', arguments: '', tokens: 1 },
      { type: 'toolCall', index: 0, call: 0, arguments: '{"a":1}', tokens: 1 },
      { type: 'finished', index: 0, reason: 'toolCalls' },
      {
        type: 'usage',
        usage: { promptTokens: 4, completionTokens: 5, cachedTokens: 2, reasoningTokens: undefined },
      },
    ])
    expect(sent).toEqual({
      model: 'org/m',
      messages: [{ role: 'user', content: 'Hi' }],
      stream: true,
      stream_options: { include_usage: true, continuous_usage_stats: true },
      temperature: 0,
      top_p: 1,
      max_tokens: 9,
    })
  })

  it.each([
    ['vllm', { continue_final_message: true, add_generation_prompt: false, top_k: 5, repetition_penalty: 1.5 }],
    ['sglang', { continue_final_message: true, top_k: 5, repetition_penalty: 1.5 }],
    ['llamacpp', { top_k: 5, repeat_penalty: 1.5 }],
  ])('continues a message and names the extras as %s does', async (owner, expected) => {
    let sent: Record<string, unknown> = {}
    const { engine } = await start(owner, {
      '/v1/chat/completions': (body, response, request) => {
        sent = body
        stream(chunk({ content: 'x' }, 'stop'))(body, response, request)
      },
    })
    const base = chatRequest()
    const input = base.input.kind === 'chat' ? base.input.chat : undefined
    if (input === undefined) throw new Error('no chat')
    await collect(
      engine.generate(
        chatRequest({
          input: { kind: 'chat', chat: { ...input, continueFinalMessage: true } },
          sampling: { ...base.sampling, topK: 5, repetitionPenalty: 1.5 },
        }),
        never,
      ),
    )
    expect(sent).toMatchObject(expected)
    expect(sent).not.toHaveProperty('priority')
  })

  it.each(['vllm', 'sglang', 'tensorrt_llm', 'tokenmill'])(
    'passes min_tokens and stop_token_ids on to %s',
    async (owner) => {
      let sent: Record<string, unknown> = {}
      const answer = stream(chunk({ content: 'a' }), chunk({}, 'stop'), '[DONE]')
      const { engine } = await start(owner, {
        '/v1/chat/completions': (body, response, request) => {
          sent = body
          answer(body, response, request)
        },
      })
      expect([...engine.extensions]).toEqual(expect.arrayContaining(['minTokens', 'stopTokens']))
      await collect(engine.generate(chatRequest({ minTokens: 3, stopTokens: [7, 9] }), never))
      expect(sent).toMatchObject({ min_tokens: 3, stop_token_ids: [7, 9] })
    },
  )

  it.each(['llamacpp', 'someone'])('refuses min_tokens and stop_token_ids by name for %s', async (owner) => {
    const { engine } = await start(owner, {})
    expect([...engine.extensions]).not.toContain('minTokens')
    await expect(collect(engine.generate(chatRequest({ minTokens: 3 }), never))).rejects.toMatchObject({
      code: 'unsupported',
      details: { param: 'min_tokens' },
    })
    await expect(collect(engine.generate(chatRequest({ stopTokens: [7] }), never))).rejects.toMatchObject({
      code: 'unsupported',
      details: { param: 'stop_token_ids' },
    })
  })

  it.each(['llamacpp', 'tokenmill'])(
    'passes llama-server’s samplers on to %s, and refuses them elsewhere',
    async (owner) => {
      let sent: Record<string, unknown> = {}
      const answer = stream(chunk({ content: 'a' }), chunk({}, 'stop'), '[DONE]')
      const { engine } = await start(owner, {
        '/v1/chat/completions': (body, response, request) => {
          sent = body
          answer(body, response, request)
        },
      })
      const dry = { multiplier: 1, base: 2, allowedLength: 3, window: undefined, breakers: ['.'] }
      const samplers = { typicalP: 0.5, xtc: { probability: 0.5, threshold: 0.2 }, dry, repetitionWindow: 9 }
      await collect(engine.generate(chatRequest(samplers), never))
      expect(sent).toMatchObject({
        typical_p: 0.5,
        xtc_probability: 0.5,
        xtc_threshold: 0.2,
        dry_multiplier: 1,
        dry_sequence_breakers: ['.'],
        repeat_last_n: 9,
      })
      const { engine: other } = await start('vllm', {})
      await expect(collect(other.generate(chatRequest(samplers), never))).rejects.toMatchObject({
        code: 'unsupported',
        details: { param: 'typical_p' },
      })
    },
  )

  it('refuses for a plain provider what it would silently ignore', async () => {
    const { engine } = await start('someone', {})
    const request = chatRequest({ sampling: { ...chatRequest().sampling, topK: 5 } })
    await expect(collect(engine.generate(request, never))).rejects.toMatchObject({
      code: 'unsupported',
      details: { param: 'top_k' },
    })
  })

  it('passes parts of messages on in OpenAI’s form, and refuses by name those that the engine does not take', async () => {
    let sent: Record<string, unknown> = {}
    const { engine } = await start('vllm', {
      '/v1/chat/completions': (body, response, request) => {
        sent = body
        stream(chunk({ content: 'A cat.' }, 'stop'), '[DONE]')(body, response, request)
      },
    })
    const { input, ...rest } = chatRequest()
    if (input.kind !== 'chat') throw new Error('not a chat')
    const asking = (...content: readonly MessagePart[]): GenerationRequest => ({
      ...rest,
      input: { kind: 'chat', chat: { ...input.chat, messages: [{ role: 'user', content }] } },
    })
    const text = { kind: 'text', text: 'What is this?' } as const
    const image = { kind: 'image', url: 'https://a.example/cat.png', detail: 'low' } as const
    await collect(engine.generate(asking(text, image, { kind: 'audio', data: 'AA==', format: 'wav' }), never))
    expect(sent['messages']).toEqual([
      {
        role: 'user',
        content: [
          { type: 'text', text: 'What is this?' },
          { type: 'image_url', image_url: { url: 'https://a.example/cat.png', detail: 'low' } },
          { type: 'input_audio', input_audio: { data: 'AA==', format: 'wav' } },
        ],
      },
    ])
    const withFile = asking(text, { kind: 'file', id: 'file-1' })
    await expect(collect(engine.generate(withFile, never))).rejects.toMatchObject({
      code: 'unsupported',
      details: { param: 'messages[0].content[1]' },
    })
  })

  it('fails a stream that ends too early, and passes an error event on', async () => {
    const { engine } = await start('vllm', {
      '/v1/chat/completions': (body, response, request) =>
        body['max_tokens'] === 9
          ? stream(chunk({ content: 'x' }))(body, response, request)
          : stream(chunk({ content: 'x' }), { error: { message: 'died', code: 500 } })(body, response, request),
    })
    await expect(collect(engine.generate(chatRequest(), never))).rejects.toMatchObject({ code: 'upstream_failed' })
    await expect(collect(engine.generate(chatRequest({ maxTokens: 8 }), never))).rejects.toThrow(/died/)
  })

  it('cancels upstream when the reader leaves early', async () => {
    let closed: () => void = () => undefined
    const gone = new Promise<void>((resolve) => (closed = resolve))
    const { engine } = await start('vllm', {
      '/v1/chat/completions': (_body, response) => {
        response.write(`data: ${JSON.stringify(chunk({ content: 'x' }))}\n\n`)
        response.on('close', closed)
      },
    })
    for await (const event of engine.generate(chatRequest(), never)) {
      expect(event.type).toBe('text')
      break
    }
    await gone
  })

  it('gives a generation up at its deadline', async () => {
    const { engine } = await start('vllm', { '/v1/chat/completions': () => undefined })
    await expect(collect(engine.generate(chatRequest({ deadlineMs: 30 }), never))).rejects.toMatchObject({
      code: 'deadline_exceeded',
    })
  })

  it('passes a priority on only to engines that were started for it, in the order that they use', async () => {
    const seen: unknown[] = []
    const answer: Answer = (body, response) => {
      seen.push(body['priority'])
      response.end('{}')
    }
    const body = Buffer.from('{"model":"m"}')
    for (const [owner, priority] of [
      ['vllm', true],
      ['sglang', true],
      ['vllm', false],
      ['llamacpp', true],
    ] as const) {
      const { engine } = await start(owner, { '/v1/chat/completions': answer }, { priority })
      const sink = { begin: () => undefined, data: () => undefined }
      await engine.relay({ id: 'r', operation: 'chat', body, priority: 3 }, sink, never)
    }
    expect(seen).toEqual([3, -3, undefined, undefined])
  })

  it('tokenizes, embeds and reranks in the words of each engine', async () => {
    const { engine } = await start('llamacpp', {
      '/tokenize': (body, response) => {
        expect(body).toMatchObject({ content: 'ab', add_special: true })
        response.end('{"tokens":[1,{"id":2,"piece":"b"}]}')
      },
      '/detokenize': (_body, response) => response.end('{"content":"ab"}'),
      '/v1/embeddings': (_body, response) =>
        response.end(
          '{"data":[{"index":1,"embedding":[0,2]},{"index":0,"embedding":[3,4]}],"usage":{"prompt_tokens":3}}',
        ),
      '/v1/rerank': (_body, response) =>
        response.end('{"results":[{"index":1,"relevance_score":0.9},{"index":0,"relevance_score":0.1}]}'),
    })
    const text = { kind: 'text', text: 'ab', addSpecialTokens: true } as const
    expect(await engine.tokenize('org/m', text, never)).toEqual([1, 2])
    expect(await engine.detokenize('org/m', [1, 2], never)).toBe('ab')
    const embedded = await engine.embed({ id: 'e', model: 'org/m', inputs: ['a', 'b'], dimensions: undefined }, never)
    expect(embedded.promptTokens).toBe(3)
    expect(embedded.vectors.map((vector) => Array.from(vector, (value) => Number(value.toFixed(6))))).toEqual([
      [0.6, 0.8],
      [0, 1],
    ])
    const ranked = await engine.rerank({ id: 'r', model: 'org/m', query: 'q', documents: ['a', 'b'] }, never)
    expect(ranked.scores).toEqual([0.1, 0.9])
  })

  it('asks for the metrics that it reads alone, and for the whole page where those do not come', async () => {
    const page = 'vllm:num_requests_running{engine="0"} 3\n'
    const named = await start('vllm', { '/metrics?': (_body, response) => response.end(page) })
    expect(named.engine.status().running).toBe(3)
    expect(named.asked).not.toContain('/metrics')
    expect(named.asked.some((path) => path.includes('name[]=vllm%3Anum_requests_running&'))).toBe(true)
    const whole = await start('vllm', {
      '/metrics?': (_body, response) => response.end('\n'),
      '/metrics': (_body, response) => response.end(page),
    })
    expect(whole.engine.status().running).toBe(3)
  })

  it('asks only for paths of its dialect', async () => {
    const { engine, asked } = await start('someone', {})
    await expect(engine.rerank({ id: 'r', model: 'org/m', query: 'q', documents: [] }, never)).rejects.toMatchObject({
      code: 'unsupported',
    })
    expect(engine.relays('rerank')).toBe(false)
    expect(asked.filter((path) => path.includes('rerank'))).toEqual([])
  })

  it('says that it is unavailable when its checks fail, with the reason', async () => {
    const engine = new OpenAiEngine(testSettings('http://127.0.0.1:1'))
    cleanups.push(() => engine.close())
    await expect(engine.ready(AbortSignal.timeout(5000))).rejects.toThrow(/refuses connections/)
    expect(engine.status().state).toBe('unavailable')
    await expect(collect(engine.generate(chatRequest(), never))).rejects.toMatchObject({ code: 'unavailable' })
  })

  it('is not up with a key that is refused, though its health page answers', async () => {
    const refused: Answer = (_body, response) => response.writeHead(401).end('{"error":"Unauthorized"}')
    await expect(start('vllm', { '/v1/models': refused }, { engine: 'vllm' })).rejects.toThrow(
      /refused our credentials/,
    )
  })

  it('is not up where it serves another model than it is configured for, and says which', async () => {
    await expect(start('vllm', {}, { model: 'org/other' })).rejects.toThrow(
      /does not serve 'org\/other'. Served: org\/m/,
    )
  })

  it('asks for the models again after a 404 and after a changed start, and for a large page less often', async () => {
    let startedAt = 1
    let pages = 0
    let served = 'org/m'
    const list: Answer = (_body, response) => response.end(JSON.stringify({ data: [{ id: served, owned_by: 'vllm' }] }))
    const page: Answer = (_body, response) => {
      pages += 1
      const lines = `process_start_time_seconds ${startedAt}\nvllm:num_requests_running 0\n`
      response.end(lines + '# filler\n'.repeat(6_000))
    }
    const missing: Answer = (_body, response) =>
      response.writeHead(404).end('{"error":{"message":"The model `x` does not exist.","code":404}}')
    const answers = { '/v1/models': list, '/metrics?': page, '/v1/chat/completions': missing }
    const limits = { ...defaultLimits, scrapeIntervalMs: 10, probeIntervalMs: 10, maxChecksPerSecond: 1_000 }
    const { engine, asked } = await start('vllm', answers, { limits })
    const lists = () => asked.filter((path) => path === '/v1/models').length
    const until = async (condition: () => boolean) => {
      while (!condition()) await new Promise((resolve) => setTimeout(resolve, 2))
    }
    const atStart = lists()
    await expect(collect(engine.generate(chatRequest(), never))).rejects.toMatchObject({ code: 'upstream_failed' })
    await until(() => lists() > atStart)
    const before = lists()
    served = 'org/next'
    startedAt = 2
    await until(() => lists() > before && engine.models()[0]?.name === 'org/next')
    const looks = asked.filter((path) => path === '/health').length
    expect(pages).toBeLessThan(looks)
  })

  it('takes a stream that dies after its finish reason for whole', async () => {
    const { engine } = await start('vllm', {
      '/v1/chat/completions': (_body, response) => {
        response.setHeader('content-type', 'text/event-stream')
        response.write(`data: ${JSON.stringify(chunk({ content: 'a' }, 'stop'))}\n\n`, () => response.socket?.destroy())
      },
    })
    const events = await collect(engine.generate(chatRequest(), never))
    expect(events.map(({ type }) => type)).toEqual(['text', 'finished', 'usage'])
  })

  it("blames the address for a 404 of the chats' own path, and says of other paths that they are not offered", async () => {
    const { engine } = await start('vllm', {})
    await expect(collect(engine.generate(chatRequest(), never))).rejects.toMatchObject({ code: 'upstream_failed' })
    const embedding = engine.embed({ id: 'r1', model: 'org/m', inputs: ['a'], dimensions: undefined }, never)
    await expect(embedding).rejects.toMatchObject({
      code: 'unsupported',
      message: expect.not.stringContaining('127.0.0.1') as string,
    })
  })

  it('translates fields on the byte path too, and sends a key as the provider wants it, below its own base URL', async () => {
    let got: Record<string, unknown> = {}
    let path = ''
    let key: unknown
    const { engine } = await start(
      'vllm',
      {
        '/v1/chat/completions': (body, response, request) => {
          got = body
          key = request.headers['authorization']
          path = request.url ?? ''
          response.end('{}')
        },
      },
      { apiKey: 'k' },
    )
    const body = Buffer.from('{"model":"org/m","guided_regex":"a+","messages":[]}')
    const sink = { begin: () => undefined, data: () => undefined }
    await engine.relay({ id: 'r1', operation: 'chat', body }, sink, never)
    expect(got).toEqual({ model: 'org/m', structured_outputs: { regex: 'a+' }, messages: [] })
    expect({ path, key }).toEqual({ path: '/v1/chat/completions', key: 'Bearer k' })
  })

  it('tokenizes a chat with its tools and template variables', async () => {
    let got: Record<string, unknown> = {}
    const { engine } = await start('vllm', {
      '/tokenize': (body, response) => {
        got = body
        response.end('{"tokens":[1]}')
      },
    })
    const { input } = chatRequest()
    if (input.kind !== 'chat') throw new Error('no chat')
    const tools = [{ name: 'f', description: undefined, parameters: undefined, strict: false }]
    const chat = { ...input.chat, tools, templateVariables: { enable_thinking: false } }
    expect(await engine.tokenize('org/m', { kind: 'chat', chat }, never)).toEqual([1])
    expect(got).toEqual({
      model: 'org/m',
      messages: [{ role: 'user', content: 'Hi' }],
      tools: [{ type: 'function', function: { name: 'f' } }],
      chat_template_kwargs: { enable_thinking: false },
    })
  })
})
