import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { createWorkItem } from '../../tests/support/work-item.ts'
import { createRandom, defaultValues, systemClock, TokenmillError } from '../core/index.ts'
import type {
  Engine,
  EngineStatus,
  GenerationEvent,
  GenerationRequest,
  RequestExtension,
  UsageRecord,
} from '../inference/index.ts'
import { protocolOptions } from '../protocol/options.ts'
import { Dispatcher, ModelPool, placementPolicies, ReplicaSet, type PoolLimits } from '../scheduler/index.ts'
import { createLogger, Metrics } from '../telemetry/index.ts'
import { DataPlane } from './data-plane.ts'
import { Guard } from './guard.ts'
import { createHttpServer } from './http-server.ts'
import { ApiKeys } from './keys.ts'
import { OpenExchanges } from './open-exchanges.ts'
import { Routes } from './routes.ts'

const ready: EngineStatus = {
  state: 'ready',
  loadProgress: 1,
  running: 0,
  waiting: 0,
  kvCacheUsage: undefined,
  prefixCache: undefined,
  preemptions: undefined,
}

/** Counts words up to 9, going on from those in the prompt; dies before the word `diesAt`. */
class CountingEngine implements Engine {
  extensions: ReadonlySet<RequestExtension> = new Set()
  readonly endpoint: string
  readonly diesAt: number
  readonly asked: GenerationRequest[] = []
  /** Loops that were left. */
  left = 0
  continues = true
  /** Told with the prompt, where the test sets it. */
  unenforced: readonly string[] | undefined

  constructor(name: string, diesAt = -1) {
    this.endpoint = name
    this.diesAt = diesAt
  }

  models() {
    return [{ name: 'inner', parent: undefined, contextTokens: 100, root: 'inner' }]
  }

  status() {
    return ready
  }

  ready(): Promise<void> {
    return Promise.resolve()
  }

  async *generate(request: GenerationRequest): AsyncGenerator<GenerationEvent> {
    this.asked.push(request)
    const prompt = request.input.kind === 'text' ? request.input.text : ''
    const said = (prompt.match(/w\d /g) ?? []).length
    if (said > 0 && !this.continues) throw new TokenmillError('unsupported', 'It cannot continue a text.')
    let completionTokens = 0
    try {
      const unenforced = this.unenforced === undefined ? {} : { unenforced: this.unenforced }
      yield { type: 'prefilled', promptTokens: 3 + said, cachedTokens: 0, ...unenforced }
      for (let word = said; word < 10; word += 1) {
        await new Promise((resolve) => setImmediate(resolve))
        if (word === this.diesAt) throw new TokenmillError('engine_failed', 'The engine died.')
        completionTokens += 1
        for (let index = 0; index < request.n; index += 1) yield { type: 'text', index, text: `w${word} `, tokens: 1 }
      }
      for (let index = 0; index < request.n; index += 1) yield { type: 'finished', index, reason: 'stop' }
      const usage = { promptTokens: 3 + said, cachedTokens: 0, completionTokens, reasoningTokens: undefined }
      yield { type: 'usage', usage }
    } finally {
      this.left += 1
    }
  }

  tokenize(): Promise<readonly number[]> {
    return Promise.resolve([1, 2, 3])
  }

  close(): Promise<void> {
    return Promise.resolve()
  }
}

const poolLimits: PoolLimits = {
  maxInFlight: 10,
  maxQueue: 4,
  maxQueueWaitMs: 10_000,
  firstTokenMs: 10_000,
  totalMs: 60_000,
  maxAttempts: 3,
  maxRetryWaitMs: 100,
  retriesPerRequest: 1,
  retriesPerSecond: 100,
  maxContinuationBytes: 1000,
}

const servers: Server[] = []
afterEach(() => {
  for (const server of servers.splice(0)) server.close().closeAllConnections()
})

/** The data plane over one model `m`, served by these engines in turn. */
async function serve(engines: readonly Engine[], limits: Partial<PoolLimits> = {}) {
  const breaker = {
    failuresToOpen: 5,
    failureShareToOpen: 0.5,
    windowRequests: 20,
    openMs: 5000,
    maxOpenMs: 60_000,
    trialsToClose: 1,
  }
  const replicas = new ReplicaSet(systemClock, () => breaker)
  const specs = engines.map((engine, at) => ({
    key: String(at),
    id: () => engine.endpoint,
    weight: 1,
    labels: {},
    create: () => engine,
  }))
  const staged = replicas.stage(specs)
  staged.commit()
  const settings = {
    replicas: specs.map(staged.replicaOf),
    placement: placementPolicies['round-robin'](createRandom(1)),
    limits: { ...poolLimits, ...limits },
    fallbacks: [],
  }
  const pool = new ModelPool('m', settings, systemClock)
  const routes = new Routes(0)
  routes.set([{ name: 'm', pool, alias: false }])
  const metrics = new Metrics(() => routes.modelGauges())
  const records: UsageRecord[] = []
  const dataPlane = new DataPlane({
    limits: { maxBodyBytes: 1e6, headerFlushMs: 50, pingIntervalMs: 1000, maxWriteStallMs: 1000 },
    guard: new Guard({ host: '127.0.0.1', allowedHosts: [], corsOrigins: [] }),
    keys: new ApiKeys([]),
    clock: systemClock,
    logger: createLogger('silent', { write: () => true }),
    sink: (record) => records.push(record),
    exchanges: new OpenExchanges(),
    closed: () => undefined,
    run: {
      routes,
      dispatcher: new Dispatcher(
        (name) => routes.find(name),
        systemClock,
        createRandom(1),
        () => undefined,
      ),
      metrics,
      clock: systemClock,
      limits: defaultValues(protocolOptions),
      relayLimits: () => ({ maxSseFrameBytes: 1e6, maxAnswerBytes: 1e6, maxContinuationBytes: 0 }),
    },
  })
  const server = createHttpServer(
    (request, response) => void dataPlane.handle(request, response),
    { maxConnections: 100, requestTimeoutMs: 10_000 },
    undefined,
  )
  servers.push(server)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return { url, pool, records, metrics }
}

interface CompletionAnswer {
  readonly choices: readonly { readonly text: string; readonly finish_reason: string }[]
  readonly usage: object
  readonly error?: { readonly code: string; readonly message: string }
}

const post = (url: string, path: string, body: object, signal?: AbortSignal) =>
  fetch(url + path, { method: 'POST', body: JSON.stringify({ model: 'm', ...body }), signal: signal ?? null })

const complete = async (url: string, fields: object = {}): Promise<CompletionAnswer> =>
  (await (
    await post(url, '/v1/completions', { prompt: 'Count: ', max_tokens: 50, ...fields })
  ).json()) as CompletionAnswer

const counted = Array.from({ length: 10 }, (_, word) => `w${word} `).join('')

describe('a generation from events', () => {
  it('asks the replica for the model under its own name, and is accounted where it ran', async () => {
    const engine = new CountingEngine('a')
    const { url, records } = await serve([engine])
    expect((await complete(url)).choices[0]?.text).toBe(counted)
    expect(engine.asked[0]?.model).toBe('inner')
    await expect.poll(() => records.length).toBe(1)
    expect(records[0]).toMatchObject({ endpoint: 'a', outcome: 'completed', completionTokens: 10 })
  })

  it('goes on elsewhere after each of two deaths: one usage, no word twice or missing, streamed or whole', async () => {
    for (const stream of [false, true]) {
      const engines = [new CountingEngine('a', 3), new CountingEngine('b', 7), new CountingEngine('c')]
      const { url, records } = await serve(engines)
      if (stream) {
        const response = await post(url, '/v1/completions', { prompt: 'Count: ', max_tokens: 50, stream })
        const words = [...(await response.text()).matchAll(/"text":"(w\d )"/g)].map((match) => match[1])
        expect(words.join('')).toBe(counted)
      } else {
        const { choices, usage } = await complete(url)
        expect(choices).toMatchObject([{ text: counted, finish_reason: 'stop' }])
        expect(usage).toMatchObject({ prompt_tokens: 3, completion_tokens: 10 })
      }
      await expect.poll(() => records.length).toBe(1)
      expect(records[0]).toMatchObject({ endpoint: 'c', promptTokens: 3, completionTokens: 10, tokensEstimated: true })
      expect(engines.map(({ asked }) => asked[0]?.maxTokens)).toEqual([50, 47, 43])
    }
  })

  it('sends min_tokens to replicas that know it, also after a death, and asks for what is left of it', async () => {
    const engines = [new CountingEngine('a'), new CountingEngine('b', 3), new CountingEngine('c')]
    for (const engine of engines.slice(1)) engine.extensions = new Set(['minTokens'])
    const { url } = await serve(engines)
    for (const min_tokens of [8, 2]) expect((await complete(url, { min_tokens })).choices[0]?.text).toBe(counted)
    expect(engines[0]?.asked).toEqual([])
    const asked = engines.slice(1).flatMap((engine) => engine.asked.map(({ minTokens }) => minTokens))
    // Five are left of eight after three words; of two, none.
    expect(asked).toEqual(expect.arrayContaining([8, 5]))
    expect(asked).not.toContain(-1)
  })

  it('passes over replicas that cannot continue a text, and tells the death where all are such', async () => {
    const [provider, able] = [new CountingEngine('b'), new CountingEngine('c')]
    provider.continues = false
    const { url } = await serve([new CountingEngine('a', 3), provider, able])
    expect((await complete(url)).choices[0]?.text).toBe(counted)
    expect([provider.asked.length, able.asked.length]).toEqual([1, 1])
    const alone = await serve([new CountingEngine('a', 3), provider])
    expect((await complete(alone.url)).error).toMatchObject({ code: 'engine_failed', message: 'The engine died.' })
  })

  it.each([
    ['no replica is left', [new CountingEngine('a', 3)], {}, {}],
    ['it has log-probabilities', [new CountingEngine('a', 3), new CountingEngine('b')], { logprobs: 1 }, {}],
    ['it has several choices', [new CountingEngine('a', 3), new CountingEngine('b')], { n: 2 }, {}],
    [
      'it is longer than is kept',
      [new CountingEngine('a', 3), new CountingEngine('b')],
      {},
      { maxContinuationBytes: 5 },
    ],
  ])('tells the death where %s', async (_why, engines, fields, limits) => {
    const { url } = await serve(engines, limits)
    expect((await complete(url, fields)).error).toMatchObject({ code: 'engine_failed', message: 'The engine died.' })
  })

  it('names what is not held of schemas in one header, however many prompts tell it', async () => {
    const engine = new CountingEngine('a')
    engine.unenforced = ['search uniqueItems']
    const { url } = await serve([engine])
    const response = await post(url, '/v1/completions', { prompt: ['a', 'b'] })
    await response.text()
    expect(response.headers.get('x-tokenmill-unenforced')).toBe('search uniqueItems')
  })

  it('ends the replica and counts it out when the client leaves', async () => {
    const engine = new CountingEngine('a')
    const { url, pool, records } = await serve([engine])
    const client = new AbortController()
    const response = await post(url, '/v1/completions', { prompt: 'Count: ', stream: true }, client.signal)
    client.abort()
    await response.text().catch(() => '')
    await expect.poll(() => [engine.left, pool.replicas[0]?.inFlight, pool.admission.running]).toEqual([1, 0, 0])
    await expect.poll(() => records.length).toBe(1)
  })
})

describe('every operation', () => {
  it('is admitted and accounted alike; work on texts alone takes no place', async () => {
    const engine = new CountingEngine('a')
    const { url, pool, records } = await serve([engine], { maxInFlight: 1, maxQueue: 0 })
    const held = pool.admission.tryAdmit(createWorkItem())
    expect(await (await post(url, '/tokenize', { prompt: 'a b c' })).json()).toMatchObject({ count: 3 })
    expect((await complete(url)).error).toMatchObject({ code: 'queue_full' })
    held?.release()
    await expect.poll(() => records.length).toBe(2)
    expect(records[0]).toMatchObject({ operation: 'POST /tokenize', endpoint: 'a', outcome: 'completed' })
    expect(records[0]?.admittedAfterMs).toBeDefined()
    expect(records[1]).toMatchObject({ outcome: 'rejected', errorCode: 'queue_full' })
  })

  it('has its own status for an error, however long it waited in the queue before', async () => {
    const { url, pool } = await serve([new CountingEngine('a')], { maxInFlight: 1, maxQueueWaitMs: 300 })
    const held = await pool.admission.admit(createWorkItem(), new AbortController().signal)
    // The head of a stream is flushed after 50 ms here: not while the request waits.
    const response = await post(url, '/v1/completions', { prompt: 'Count: ', stream: true })
    expect(response.status).toBe(503)
    expect(response.headers.get('retry-after')).toBe('5')
    expect(await response.json()).toMatchObject({ error: { code: 'queue_timeout' } })
    held.release()
  })
})
