import OpenAI from 'openai'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { defaultValues } from '../../src/core/index.ts'
import type { ChatInput, GenerationRequest } from '../../src/inference/index.ts'
import { TritonEngine, upstreamOptions, type TritonSettings } from '../../src/upstream/index.ts'
import { parseConfig } from '../../src/config/index.ts'
import { startTestServer } from '../scripted/server.ts'
import { chatFrame, startUpstream } from '../scripted/upstream.ts'
import { Authority } from '../support/certificates.ts'
import { startTriton, tritonUnfit, type TestTriton } from '../triton/server.ts'
import {
  collect,
  describeEngineContract,
  failureOf,
  never,
  textOf,
  until,
  type EngineUnderTest,
} from './engine-contract.ts'
import { createRequest } from '../support/generation-request.ts'

/** The three ways of laying generations out in tensors, and the model of the test repository that has each. */
const models = ['vllm_chat', 'llmapi', 'ensemble', 'ensemble_whole'] as const
const protocols = ['gRPC', 'HTTP'] as const

let triton: TestTriton
const engines = new Map<string, TritonEngine>()

const template =
  '{{ bos_token }}{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}' +
  '{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}'

function settings(changes: Partial<TritonSettings>): TritonSettings {
  return {
    url: triton.grpcUrl,
    model: undefined,
    apiKey: undefined,
    headers: {},
    priority: false,
    tls: undefined,
    limits: { ...defaultValues(upstreamOptions), probeTimeoutMs: 30_000 },
    chatTemplate: JSON.stringify({ chat_template: template, bos_token: { content: '<s>' }, eos_token: '</s>' }),
    metricsUrl: triton.metricsUrl,
    repository: 'none',
    ...changes,
  }
}

async function start(changes: Partial<TritonSettings>): Promise<TritonEngine> {
  const engine = new TritonEngine(settings(changes))
  await engine.ready(never())
  return engine
}

function open(protocol: (typeof protocols)[number], model: string): TritonEngine {
  const engine = engines.get(`${protocol} ${model}`)
  if (engine === undefined) throw new Error(`No engine for ${model} over ${protocol}.`)
  return engine
}

/** What the model noted of the request, once it has. */
async function noted(id: string): Promise<string> {
  let line: string | undefined
  await until(() => (line = triton.notes().find((note) => note.startsWith(`${id} `))) !== undefined)
  return line ?? ''
}

if (tritonUnfit !== undefined) {
  it('A real Triton server runs here', ({ skip }) => skip(tritonUnfit))
} else describe('A real Triton server', { timeout: 180_000 }, describeTriton)

function describeTriton(): void {
  beforeAll(async () => {
    triton = await startTriton()
    for (const model of models) {
      engines.set(`gRPC ${model}`, await start({ model }))
      engines.set(`HTTP ${model}`, await start({ model, url: triton.httpUrl }))
    }
  }, 600_000)

  afterAll(async () => {
    await Promise.all([...engines.values()].map((engine) => engine.close()))
    await triton.stop()
  })

  for (const protocol of protocols) {
    for (const model of ['vllm_chat', 'llmapi', 'ensemble'] as const) {
      const traits: Partial<EngineUnderTest> = model === 'llmapi' ? { ignoresEos: false, countsTokens: false } : {}
      describeEngineContract(`Triton over ${protocol} (${model})`, () => ({
        engine: open(protocol, model),
        model,
        contextTokens: undefined,
        ...traits,
      }))
    }
  }

  for (const protocol of protocols) {
    describe(`over ${protocol}`, () => {
      it('gives the same words whatever the dialect, streamed or whole', async () => {
        const texts = await Promise.all(
          models.map(async (model) =>
            textOf(await collect(open(protocol, model).generate(createRequest({ model }), never()))),
          ),
        )
        expect(new Set(texts).size).toBe(1)
        expect(texts[0]?.trim().split(' ')).toHaveLength(16)
      })

      it('tells Triton at once that a request is cancelled, also before its first token', async () => {
        for (const model of ['vllm_chat', 'llmapi', 'ensemble'] as const) {
          const controller = new AbortController()
          const id = `silent-${protocol}-${model}`
          const input = { kind: 'text', text: 'silent: for ever' } as const
          const work = collect(open(protocol, model).generate(createRequest({ id, model, input }), controller.signal))
          await until(() => open(protocol, model).status().running > 0)
          // Triton itself must have it, else nothing is cancelled there.
          await new Promise((resolve) => setTimeout(resolve, 200))
          controller.abort()
          expect(await failureOf(work)).toMatchObject({ code: 'cancelled' })
          // Triton knows a request by our name for it over gRPC alone.
          if (protocol === 'gRPC') expect(await noted(id)).toBe(`${id} cancelled 0`)
          else await until(() => triton.notes().some((note) => note.endsWith('cancelled 0')))
        }
      })

      it('ends a stream with the error that breaks it off', async () => {
        for (const model of ['vllm_chat', 'llmapi', 'ensemble'] as const) {
          const atOnce = createRequest({ model, input: { kind: 'text', text: 'fail at 0: now' } })
          expect(await failureOf(collect(open(protocol, model).generate(atOnce, never())))).toMatchObject({
            code: 'upstream_failed',
            message: expect.stringContaining('the mill broke down') as string,
          })
          const input = { kind: 'text', text: 'fail at 3: now' } as const
          const texts: string[] = []
          const reading = async () => {
            for await (const event of open(protocol, model).generate(createRequest({ model, input }), never())) {
              if (event.type === 'text') texts.push(event.text)
            }
          }
          expect(await failureOf(reading())).toMatchObject({
            code: 'upstream_failed',
            message: expect.stringContaining('the mill broke down') as string,
          })
          expect(texts).toHaveLength(3)
        }
      })

      it('says in its own words that a prompt is too long', async () => {
        const error = await failureOf(
          collect(open(protocol, 'ensemble').generate(createRequest({ model: 'ensemble', maxTokens: 2000 }), never())),
        )
        expect(error.code).toBe('context_length_exceeded')
      })

      it('gives a generation up at its deadline', async () => {
        const input = { kind: 'text', text: 'silent: for ever' } as const
        const request = createRequest({ model: 'vllm_chat', input, deadlineMs: 80 })
        const error = await failureOf(collect(open(protocol, 'vllm_chat').generate(request, never())))
        expect(error.code).toBe('deadline_exceeded')
      })
    })
  }

  it('tells the dialects apart by the tensors, and offers every model that generates text', async () => {
    const engine = await start({ model: undefined })
    expect(
      engine
        .models()
        .map(({ name }) => name)
        .toSorted(),
    ).toEqual([...models].toSorted())
    await engine.close()
  })

  it('renders a chat by the template of the endpoint, and reads the answer', async () => {
    const chat: ChatInput = {
      messages: [{ role: 'user', content: 'Grind.' }],
      tools: [],
      toolChoice: { kind: 'none' },
      parallelToolCalls: true,
      reasoningEffort: undefined,
      templateVariables: {},
      continueFinalMessage: false,
    }
    const ask = (input: GenerationRequest['input']) =>
      collect(open('gRPC', 'vllm_chat').generate(createRequest({ model: 'vllm_chat', input }), never()))
    const rendered = '<|im_start|>user\nGrind.<|im_end|>\n<|im_start|>assistant\n'
    expect(textOf(await ask({ kind: 'chat', chat }))).toBe(textOf(await ask({ kind: 'text', text: rendered })))
    const bare = await start({ model: 'llmapi', chatTemplate: undefined })
    const input = { kind: 'chat', chat } as const
    expect(await failureOf(collect(bare.generate(createRequest({ model: 'llmapi', input }), never())))).toMatchObject({
      code: 'unsupported',
      message: expect.stringContaining('chatTemplate') as string,
    })
    await bare.close()
  })

  it('brings log-probabilities, the chosen token apart from the likelier ones', async () => {
    const request = createRequest({ model: 'vllm_chat', maxTokens: 2, logprobs: 1 })
    const events = await collect(open('gRPC', 'vllm_chat').generate(request, never()))
    const first = events.find((event) => event.type === 'text')
    expect(first?.type === 'text' ? first.logprobs : undefined).toMatchObject([
      {
        token: { id: 1000, logprob: -0.5 },
        top: [
          { id: 7, logprob: -0.25 },
          { id: 1000, logprob: -0.5 },
        ],
      },
    ])
  })

  it('refuses what a dialect has no tensor for, rather than dropping it', async () => {
    const cases: [string, Partial<GenerationRequest>, string][] = [
      ['llmapi', { ignoreEos: true }, 'ignore_eos'],
      ['llmapi', { logprobs: 0 }, 'logprobs'],
      ['ensemble', { logprobs: 0 }, 'logprobs'],
      ['vllm_chat', { constraint: { kind: 'jsonObject' } }, 'response_format'],
      ['vllm_chat', { input: { kind: 'tokens', tokens: [1] } }, 'prompt'],
    ]
    for (const [model, changes, param] of cases) {
      const request = createRequest({ model, ...changes })
      expect(await failureOf(collect(open('gRPC', model).generate(request, never())))).toMatchObject({
        code: 'unsupported',
        details: { param },
      })
    }
  })

  it('has Triton load a model that stands in the repository, and unloads what it loaded', async () => {
    const waiting = new TritonEngine(settings({ model: 'shelved' }))
    expect(await failureOf(waiting.ready(never()))).toMatchObject({
      code: 'unavailable',
      message: expect.stringContaining("'shelved' at") as string,
    })
    await waiting.close()
    for (const url of [triton.grpcUrl, triton.httpUrl]) {
      const owner = await start({ model: 'shelved', repository: 'own', url })
      const text = textOf(await collect(owner.generate(createRequest({ model: 'shelved' }), never())))
      expect(text.length).toBeGreaterThan(0)
      await owner.close()
      await untilAsync(async () => {
        const index = await fetch(`${triton.httpUrl}/v2/repository/index`, { method: 'POST' })
        const list = (await index.json()) as { name: string; state?: string }[]
        return list.some(({ name, state }) => name === 'shelved' && state === 'UNAVAILABLE')
      })
    }
  })

  it('reads how many requests wait from the metrics page', async () => {
    const engine = open('gRPC', 'vllm_chat')
    await until(() => engine.status().ageMs !== undefined)
    expect(engine.status()).toMatchObject({ waiting: 0, state: 'ready' })
  })

  it('serves chats and completions behind the endpoint that clients know, with usage and one account each', async () => {
    const source = JSON.stringify(settings({}).chatTemplate)
    const endpoint = (model: string) =>
      `{url: ${JSON.stringify(triton.grpcUrl)}, model: ${model}, chatTemplate: ${source}, metricsUrl: ${JSON.stringify(triton.metricsUrl)}}`
    const config = ['vllm_chat', 'llmapi', 'ensemble'].map(
      (model) => `{name: ${model}, endpoints: [${endpoint(model)}]}`,
    )
    const server = await startTestServer([], {}, parseConfig(`models: [${config.join(', ')}]`, 'tokenmill.yaml', {}))
    const client = new OpenAI({ baseURL: `${server.url}/v1`, apiKey: 'unused', maxRetries: 0 })
    for (const model of ['vllm_chat', 'llmapi', 'ensemble']) {
      const messages = [{ role: 'user' as const, content: 'Grind.' }]
      const stream = await client.chat.completions.create({ model, messages, max_tokens: 12, stream: true })
      let text = ''
      let reason: string | null | undefined
      for await (const chunk of stream) {
        text += chunk.choices[0]?.delta.content ?? ''
        reason = chunk.choices[0]?.finish_reason ?? reason
      }
      expect(reason).toBe('length')
      expect(text.trim().split(' ')).toHaveLength(12)
      const whole = await client.completions.create({ model, prompt: 'Once upon', max_tokens: 5 })
      expect(whole).toMatchObject({ model, choices: [{ finish_reason: 'length' }], usage: { completion_tokens: 5 } })
    }
    await until(() => server.records.length === 6)
    expect(server.records).toMatchObject(
      ['vllm_chat', 'llmapi', 'ensemble'].flatMap((model) =>
        [12, 5].map((completionTokens) => ({
          model,
          endpoint: triton.grpcUrl,
          outcome: 'completed',
          completionTokens,
          tokensEstimated: model === 'llmapi',
        })),
      ),
    )
    await server.close(AbortSignal.abort())
  })

  it('stands beside engines of other kinds: goes on with a chat where one of them died, and is put in by a new file', async () => {
    const dying = await startUpstream((response) => {
      const said = ['one ', 'two '].map((content) => chatFrame({ content })).join('')
      response.write(chatFrame({ role: 'assistant', content: '' }) + said, () => response.socket?.destroy())
    })
    const source = JSON.stringify(settings({}).chatTemplate)
    const other = `{url: ${JSON.stringify(triton.grpcUrl)}, model: ensemble, chatTemplate: ${source}}`
    const file = (endpoints: string) =>
      parseConfig(`models: [{name: chat, placement: round-robin, endpoints: [${endpoints}]}]`, 'tokenmill.yaml', {})
    const server = await startTestServer([], {}, file(`{url: "${dying.url}"}`))
    await server.reconfigure(file(`{url: "${dying.url}"}, ${other}`))
    const client = new OpenAI({ baseURL: `${server.url}/v1`, apiKey: 'unused', maxRetries: 0 })
    const messages = [{ role: 'user' as const, content: 'Grind.' }]
    const texts: string[] = []
    for (let round = 0; round < 2; round += 1) {
      const stream = await client.chat.completions.create({ model: 'chat', messages, max_tokens: 8, stream: true })
      let text = ''
      for await (const chunk of stream) text += chunk.choices[0]?.delta.content ?? ''
      texts.push(text)
    }
    const continued = texts.find((text) => text.startsWith('one two '))
    const own = texts.find((text) => !text.startsWith('one '))
    expect(continued?.trim().split(/\s+/)).toHaveLength(8)
    expect(own?.trim().split(' ')).toHaveLength(8)
    expect(dying.requests).toHaveLength(1)
    await server.close(AbortSignal.abort())
    await dying.close()
  })

  it('speaks gRPC over TLS, with certificates both ways, and says what is wrong with one', async () => {
    const authority = new Authority('mill authority')
    const secured = await startTriton({ ...authority.issue('triton.internal'), clientCa: authority.cert })
    const mine = authority.issue('gateway')
    const tls = { ca: authority.cert, ...mine, serverName: 'triton.internal', verify: true }
    const engine = await start({ url: secured.grpcUrl, model: 'vllm_chat', metricsUrl: undefined, tls })
    const events = await collect(engine.generate(createRequest({ model: 'vllm_chat', maxTokens: 3 }), never()))
    expect(events.at(-1)).toMatchObject({ type: 'usage', usage: { completionTokens: 3 } })
    await engine.close()
    const faults = [
      [{ ...tls, ca: new Authority('another').cert }, /certificate/],
      [{ ...tls, serverName: undefined }, /altnames|Hostname/],
      [{ ...tls, cert: undefined, key: undefined }, /connection|certificate/i],
    ] as const
    for (const [wrong, words] of faults) {
      const refused = new TritonEngine(settings({ url: secured.grpcUrl, metricsUrl: undefined, tls: wrong }))
      expect(await failureOf(refused.ready(never()))).toMatchObject({
        code: expect.stringMatching(/upstream_failed|unavailable/) as string,
        message: expect.stringMatching(words) as string,
      })
      await refused.close()
    }
    await secured.stop()
  })

  it('knows of a server that is gone, and of one that breaks a stream off', async () => {
    const victim = await startTriton()
    const engine = await start({ url: victim.grpcUrl, model: 'vllm_chat', metricsUrl: undefined })
    let pieces = 0
    const reading = async () => {
      const request = createRequest({ model: 'vllm_chat', maxTokens: 900, ignoreEos: true })
      for await (const event of engine.generate(request, never())) {
        if (event.type === 'text') pieces += 1
        if (pieces === 3) victim.process.kill('SIGKILL')
      }
    }
    expect(await failureOf(reading())).toMatchObject({ code: 'upstream_failed' })
    expect(await failureOf(collect(engine.generate(createRequest({ model: 'vllm_chat' }), never())))).toMatchObject({
      code: 'upstream_failed',
    })
    await until(() => engine.status().state === 'unavailable')
    await engine.close()
    await victim.stop()
  })
}

async function untilAsync(condition: () => Promise<boolean>): Promise<void> {
  while (!(await condition())) await new Promise((resolve) => setTimeout(resolve, 20))
}
