import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createRandom, VirtualClock } from '../core/index.ts'
import type { GenerationEvent, GenerationRequest } from '../inference/index.ts'
import { parseDistribution } from '../workload/index.ts'
import { createRequest } from '../../tests/support/generation-request.ts'
import { linearStepModel } from './linear-step-model.ts'
import { SimulatedEngine, type SimulatedEngineSettings } from './simulated-engine.ts'
import type { StepSchedulerSettings } from './step-scheduler.ts'

const times = { baseMs: 10, perSequenceMs: 1, perPrefillTokenMs: 0.1, perThousandContextMs: 2 }
const roomy = { blockTokens: 16, blocks: 10_000, cachedBlocks: undefined }

function create(steps: Partial<StepSchedulerSettings> = {}, settings: Partial<SimulatedEngineSettings> = {}) {
  const clock = new VirtualClock()
  const timing = {
    kind: 'steps' as const,
    model: linearStepModel(times),
    prefillTokensPerStep: 100,
    maxRunning: 64,
    kv: roomy,
  }
  const engine = new SimulatedEngine(
    { name: 't', models: ['sim'], contextTokens: 4096, timing: { ...timing, ...steps }, ...settings },
    clock,
  )
  return { clock, engine }
}

/** A prompt of so many tokens; equal numbers of `text` begin alike. */
function prompt(tokens: number, text = 0): GenerationRequest['input'] {
  return { kind: 'tokens', tokens: Array.from({ length: tokens }, (_, index) => 1000 * text + index) }
}

interface Seen {
  readonly events: GenerationEvent[]
  readonly tokensMs: number[]
  readonly done: Promise<unknown>
  error?: unknown
}

/** Reads a generation and notes when its tokens came. */
function read(
  { clock, engine }: { clock: VirtualClock; engine: SimulatedEngine },
  request: Partial<GenerationRequest>,
  signal = new AbortController().signal,
): Seen {
  const whole = createRequest({ model: 'sim', ...request })
  const run = async (): Promise<void> => {
    try {
      for await (const event of engine.generate(whole, signal)) {
        seen.events.push(event)
        if (event.type === 'text') for (let token = 0; token < event.tokens; token += 1) seen.tokensMs.push(clock.now())
      }
    } catch (error) {
      seen.error = error
    }
  }
  const seen: Seen = { events: [], tokensMs: [], done: Promise.resolve() }
  return Object.assign(seen, { done: run() })
}

describe('SimulatedEngine on a step model', () => {
  it('takes the times of the closed form for a request that is alone', async () => {
    const some = fc.record({
      promptTokens: fc.integer({ min: 1, max: 1000 }),
      outputTokens: fc.integer({ min: 1, max: 50 }),
      chunk: fc.integer({ min: 1, max: 300 }),
    })
    await fc.assert(
      fc.asyncProperty(some, async ({ promptTokens, outputTokens, chunk }) => {
        const engine = create({ prefillTokensPerStep: chunk })
        const { tokensMs } = read(engine, { input: prompt(promptTokens), maxTokens: outputTokens, ignoreEos: true })
        await engine.clock.advance(1e6)
        const prefillMs = Math.ceil(promptTokens / chunk) * times.baseMs + times.perPrefillTokenMs * promptTokens
        expect(tokensMs).toHaveLength(outputTokens)
        let expected = prefillMs
        for (const [index, atMs] of tokensMs.entries()) {
          if (index > 0)
            expected +=
              times.baseMs + times.perSequenceMs + (times.perThousandContextMs * (promptTokens + index)) / 1000
          expect(atMs).toBeCloseTo(expected, 6)
        }
      }),
      { seed: 3, numRuns: 60 },
    )
  })

  it('makes every stream slower with more of them, and stalls them while a prompt is computed', async () => {
    const engine = create({
      model: linearStepModel({ baseMs: 10, perSequenceMs: 2, perPrefillTokenMs: 1 }),
      prefillTokensPerStep: 50,
    })
    const first = read(engine, { input: prompt(10), maxTokens: 100 })
    await engine.clock.advance(60)
    read(engine, { input: prompt(50, 1), maxTokens: 100 })
    await engine.clock.advance(200)
    const gaps = first.tokensMs.slice(1).map((atMs, index) => atMs - (first.tokensMs[index] ?? 0))
    expect([gaps[0], Math.max(...gaps), gaps.at(-1)]).toEqual([12, 62, 14])
  })

  it('computes only what the prefix cache lacks, and says so', async () => {
    const engine = create()
    read(engine, { input: prompt(100), maxTokens: 1 })
    await engine.clock.advance(1000)
    const again = read(engine, { input: prompt(100), maxTokens: 1 })
    await engine.clock.advance(1000)
    expect(again.events[0]).toEqual({ type: 'prefilled', promptTokens: 100, cachedTokens: 96 })
    expect(again.tokensMs[0]).toBeCloseTo(1000 + 10 + 0.4, 6)
    expect(engine.engine.status().prefixCache).toEqual({ queries: 200, hits: 96 })
  })

  it('lets continuations share the blocks of their prompt', async () => {
    const engine = create()
    const { events } = read(engine, { input: prompt(64), n: 4, maxTokens: 2 })
    await engine.clock.advance(11)
    // Four whole blocks; the last of them is computed by each, as its last token gives the first word.
    expect(engine.engine.status().kvCacheUsage).toBeCloseTo((3 + 4) / roomy.blocks, 9)
    await engine.clock.advance(1000)
    expect(events.at(-1)).toMatchObject({ usage: { promptTokens: 64, completionTokens: 8 } })
  })

  it('finds a turn’s own answer again in the next turn’s prompt', async () => {
    const engine = create()
    const first = read(engine, { input: { kind: 'text', text: 'one two three' }, maxTokens: 60 })
    await engine.clock.advance(10_000)
    const said = first.events.map((event) => (event.type === 'text' ? event.text : '')).join('')
    const second = read(engine, { input: { kind: 'text', text: `one two three${said} and more` }, maxTokens: 1 })
    await engine.clock.advance(10_000)
    expect(second.events[0]).toMatchObject({ promptTokens: 65, cachedTokens: 48 })
  })

  it('gives up at the deadline, and refuses beyond its line', async () => {
    const engine = create({ maxRunning: 1 }, { maxWaiting: 1 })
    const late = read(engine, { deadlineMs: 25, maxTokens: 100 })
    const waits = read(engine, { maxTokens: 2 })
    await engine.clock.advance(1)
    const refused = read(engine, {})
    await engine.clock.advance(1000)
    expect(late.error).toMatchObject({ code: 'deadline_exceeded', details: { maximum: 25 } })
    expect(refused.error).toMatchObject({ code: 'queue_full', details: { maximum: 1, actual: 1 } })
    expect(waits.tokensMs).toHaveLength(2)
  })

  it('frees what a request holds as soon as its client leaves, in the middle of a step', async () => {
    const engine = create()
    const controller = new AbortController()
    const left = read(engine, { maxTokens: 100 }, controller.signal)
    await engine.clock.advance(43)
    expect(engine.engine.status()).toMatchObject({ running: 1 })
    controller.abort()
    await engine.clock.advance(0)
    expect(left.error).toMatchObject({ code: 'cancelled' })
    expect(engine.engine.status()).toMatchObject({ running: 0, waiting: 0, kvCacheUsage: 0 })
  })

  it('frees everything at once when it is closed', async () => {
    const engine = create()
    const running = read(engine, { maxTokens: 100 })
    await engine.clock.advance(50)
    await engine.engine.close()
    await running.done
    expect(running.error).toMatchObject({ code: 'cancelled' })
    expect(engine.engine.status()).toMatchObject({ state: 'closed', running: 0, kvCacheUsage: 0 })
  })

  it('refuses what words without a model do not have', async () => {
    const engine = create()
    const asked = read(engine, { logprobs: 2 })
    await asked.done
    expect(asked.error).toMatchObject({ code: 'unsupported', details: { param: 'logprobs' } })
  })
})

/** A load that a small engine can only carry with queues, chunks, shared prefixes, preemption and cancellations. */
const load = fc.array(
  fc.record({
    atMs: fc.integer({ min: 0, max: 150 }),
    promptTokens: fc.integer({ min: 1, max: 60 }),
    text: fc.nat(2),
    maxTokens: fc.integer({ min: 1, max: 60 }),
    n: fc.integer({ min: 1, max: 3 }),
    abortAfterMs: fc.option(fc.integer({ min: 0, max: 300 }), { nil: undefined }),
  }),
  { minLength: 1, maxLength: 20 },
)
const sizes = fc.record({
  blocks: fc.integer({ min: 30, max: 60 }),
  cachedBlocks: fc.option(fc.nat(20), { nil: undefined }),
  maxRunning: fc.integer({ min: 1, max: 12 }),
  chunk: fc.integer({ min: 1, max: 64 }),
})

async function runLoad(requests: ReturnType<typeof asLoad>, size: ReturnType<typeof asSize>, seed: number) {
  const kv = { blockTokens: 4, blocks: size.blocks, cachedBlocks: size.cachedBlocks }
  const simulated = create(
    { kv, maxRunning: size.maxRunning, prefillTokensPerStep: size.chunk },
    { seed, outputTokens: parseDistribution('uniform:1,60') },
  )
  const { clock, engine } = simulated
  const seen: Seen[] = []
  let mostUsed = 0
  for (const [index, each] of requests.entries()) {
    const controller = new AbortController()
    clock.schedule(each.atMs, () => {
      const request = {
        id: `r${index}`,
        input: prompt(each.promptTokens, each.text),
        n: each.n,
        maxTokens: each.maxTokens,
      }
      seen[index] = read(simulated, request, controller.signal)
      if (each.abortAfterMs !== undefined) clock.schedule(each.abortAfterMs, () => controller.abort())
    })
  }
  const watch = (): void => {
    mostUsed = Math.max(mostUsed, engine.status().kvCacheUsage ?? 0)
    if (clock.now() < 2000) clock.schedule(1, watch)
  }
  watch()
  await clock.advance(200_000)
  return { seen, mostUsed, status: engine.status(), preemptions: engine.status().preemptions ?? 0 }
}
const asLoad = (requests: typeof load extends fc.Arbitrary<infer T> ? T : never) => requests
const asSize = (size: typeof sizes extends fc.Arbitrary<infer T> ? T : never) => size

describe('SimulatedEngine under any load', () => {
  it('ends every request exactly once, holds no more blocks than there are, and none at the end', async () => {
    let preemptions = 0
    await fc.assert(
      fc.asyncProperty(load, sizes, async (requests, size) => {
        const { seen, mostUsed, status, ...rest } = await runLoad(requests, size, 1)
        preemptions += rest.preemptions
        for (const [index, { maxTokens, n, abortAfterMs }] of requests.entries()) {
          const { events = [], error, tokensMs = [] } = seen[index] ?? {}
          const finished = events.filter((event) => event.type === 'finished')
          if (error !== undefined) {
            expect(error).toMatchObject({ code: 'cancelled' })
            expect(abortAfterMs).toBeDefined()
            continue
          }
          expect(finished).toHaveLength(n)
          expect(new Set(finished.map((event) => event.index)).size).toBe(n)
          expect(events.filter((event) => event.type === 'usage')).toHaveLength(1)
          expect(events.at(-1)).toMatchObject({ type: 'usage', usage: { completionTokens: tokensMs.length } })
          expect(tokensMs.length).toBeLessThanOrEqual(n * maxTokens)
        }
        expect(mostUsed).toBeLessThanOrEqual(1)
        expect(status).toMatchObject({ running: 0, waiting: 0, kvCacheUsage: 0 })
      }),
      { seed: 4, numRuns: 60 },
    )
    // The loads were hard enough to show something.
    expect(preemptions).toBeGreaterThan(20)
  })

  it('repeats itself to the millisecond under a seed, and differs under another', async () => {
    const random = createRandom(9)
    const draw = (most: number): number => Math.floor(random() * most)
    const requests = Array.from({ length: 12 }, () => ({
      atMs: draw(300),
      promptTokens: 1 + draw(60),
      text: draw(2),
      maxTokens: 60,
      n: 1,
      abortAfterMs: undefined,
    }))
    const size = { blocks: 40, cachedBlocks: undefined, maxRunning: 8, chunk: 16 }
    const outcome = async (seed: number) =>
      (await runLoad(requests, size, seed)).seen.map(({ events, tokensMs }) => [events, tokensMs])
    const first = await outcome(1)
    expect(await outcome(1)).toEqual(first)
    expect(await outcome(2)).not.toEqual(first)
  })
})
