import { describe, expect, it } from 'vitest'
import { createRequest, sampling } from '../../tests/support/generation-request.ts'
import { createRandom, systemClock, TokenmillError } from '../core/index.ts'
import type { Engine, EngineStatus, GenerationEvent, GenerationRequest, RequestExtension } from '../inference/index.ts'
import { FleetEngine } from './fleet-engine.ts'
import { Fleet } from './fleet.ts'
import { placementPolicies } from './placement/index.ts'
import { Replica } from './replica.ts'
import { RetryBudget } from './retry-budget.ts'

const never = new AbortController().signal
const breaker = {
  failuresToOpen: 5,
  failureShareToOpen: 0.5,
  windowRequests: 20,
  openMs: 5000,
  maxOpenMs: 60_000,
  trialsToClose: 1,
}
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
  left = 0
  continues = true

  constructor(name: string, diesAt: number) {
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
      yield { type: 'prefilled', promptTokens: 3 + said, cachedTokens: 0 }
      for (let word = said; word < 10; word += 1) {
        await new Promise((resolve) => setImmediate(resolve))
        if (word === this.diesAt) throw new TokenmillError('engine_failed', 'The engine died.')
        completionTokens += 1
        yield { type: 'text', index: 0, text: `w${word} `, tokens: 1 }
      }
      yield { type: 'finished', index: 0, reason: 'stop' }
      const usage = { promptTokens: 3 + said, cachedTokens: 0, completionTokens, reasoningTokens: undefined }
      yield { type: 'usage', usage }
    } finally {
      this.left += 1
    }
  }

  close(): Promise<void> {
    return Promise.resolve()
  }
}

function open(engines: readonly Engine[], maxContinuationBytes = 1000): FleetEngine {
  const fleet = new Fleet(systemClock, createRandom(1))
  fleet.setRoutes([
    {
      name: 'm',
      replicas: engines.map(
        (engine) => new Replica({ id: engine.endpoint, engine, weight: 1, labels: {} }, breaker, systemClock),
      ),
      placement: placementPolicies['round-robin'](createRandom(1)),
      budget: new RetryBudget({ retriesPerRequest: 1, retriesPerSecond: 100, maxSaved: 100 }, systemClock),
      timeouts: { firstTokenMs: 10_000, totalMs: 60_000 },
      maxAttempts: 3,
      maxRetryWaitMs: 100,
      fallbacks: [],
    },
  ])
  return new FleetEngine(fleet, 'm', () => ({ maxInFlight: 10, maxContinuationBytes }))
}

const request = createRequest({
  id: 'r',
  model: 'm',
  input: { kind: 'text', text: 'Count: ' },
  maxTokens: 50,
  sampling: sampling({ seed: undefined }),
})

async function collect(events: AsyncIterable<GenerationEvent>): Promise<GenerationEvent[]> {
  const all: GenerationEvent[] = []
  for await (const event of events) all.push(event)
  return all
}

const textOf = (events: readonly GenerationEvent[]) =>
  events.map((event) => (event.type === 'text' ? event.text : '')).join('')
const counted = Array.from({ length: 10 }, (_, word) => `w${word} `).join('')

describe('FleetEngine.generate()', () => {
  it('asks each replica for the model under its own name, and tells where it was placed', async () => {
    const engine = new CountingEngine('a', -1)
    const placed: string[] = []
    const events = await collect(
      open([engine]).generate(request, never, { placed: (endpoint) => placed.push(endpoint) }),
    )
    expect(textOf(events)).toBe(counted)
    expect(engine.asked[0]?.model).toBe('inner')
    expect(placed).toEqual(['a'])
  })

  it('goes on elsewhere after each of two deaths: one prefill, one usage, no word twice or missing', async () => {
    const engines = [new CountingEngine('a', 3), new CountingEngine('b', 7), new CountingEngine('c', -1)]
    const events = await collect(open(engines).generate(request, never))
    expect(textOf(events)).toBe(counted)
    expect(events.filter(({ type }) => type === 'prefilled')).toHaveLength(1)
    expect(events.filter(({ type }) => type === 'finished')).toHaveLength(1)
    expect(events.at(-1)).toEqual({
      type: 'usage',
      usage: {
        promptTokens: 3,
        cachedTokens: undefined,
        completionTokens: 10,
        reasoningTokens: undefined,
        estimated: true,
      },
    })
    expect(engines.map(({ asked }) => asked[0]?.maxTokens)).toEqual([50, 47, 43])
  })

  it('sends a request for min_tokens to replicas that know it, also after a death, and asks for what is left of it', async () => {
    const engines = [new CountingEngine('a', -1), new CountingEngine('b', 3), new CountingEngine('c', -1)]
    const fleet = open(engines)
    expect([...fleet.extensions]).toEqual([])
    for (const engine of engines.slice(1)) engine.extensions = new Set(['minTokens'])
    expect([...fleet.extensions]).toEqual(['minTokens'])
    for (const minTokens of [8, 2]) {
      const events = await collect(fleet.generate({ ...request, minTokens }, never))
      expect(textOf(events)).toBe(counted)
    }
    expect(engines[0]?.asked).toEqual([])
    const asked = engines.slice(1).flatMap((engine) => engine.asked.map(({ minTokens }) => minTokens))
    // Five are left of eight after three words; of two, none.
    expect(asked.toSorted((a, b) => (a ?? 0) - (b ?? 0))).toEqual(expect.arrayContaining([8, 5]))
    expect(asked).not.toContain(-1)
  })

  it('passes over replicas that cannot continue a text, and throws the death on where all are such', async () => {
    const [provider, able] = [new CountingEngine('b', -1), new CountingEngine('c', -1)]
    provider.continues = false
    const events = await collect(open([new CountingEngine('a', 3), provider, able]).generate(request, never))
    expect(textOf(events)).toBe(counted)
    expect([provider.asked.length, able.asked.length]).toEqual([1, 1])
    await expect(collect(open([new CountingEngine('a', 3), provider]).generate(request, never))).rejects.toMatchObject({
      code: 'engine_failed',
    })
  })

  it('throws the death on where nobody is left to go on', async () => {
    await expect(collect(open([new CountingEngine('a', 3)]).generate(request, never))).rejects.toMatchObject({
      code: 'engine_failed',
      message: 'The engine died.',
    })
  })

  it('throws the death on where the answer is no plain text, or is longer than is kept', async () => {
    const engines = () => [new CountingEngine('a', 3), new CountingEngine('b', -1)]
    await expect(collect(open(engines()).generate({ ...request, logprobs: 1 }, never))).rejects.toMatchObject({
      code: 'engine_failed',
    })
    await expect(collect(open(engines()).generate({ ...request, n: 2 }, never))).rejects.toMatchObject({
      code: 'engine_failed',
    })
    await expect(collect(open(engines(), 5).generate(request, never))).rejects.toMatchObject({ code: 'engine_failed' })
  })

  it('ends the replica and counts it out when the reader leaves', async () => {
    const engine = new CountingEngine('a', -1)
    const fleet = open([engine])
    for await (const event of fleet.generate(request, never)) if (event.type === 'text') break
    await expect.poll(() => [engine.left, fleet.fleet.route('m')?.replicas[0]?.inFlight]).toEqual([1, 0])
  })
})
