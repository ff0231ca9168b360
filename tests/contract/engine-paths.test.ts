import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createRandom, defaultValues } from '../../src/core/index.ts'
import { createEmbeddedEngine, engineOptions, type EngineOptionValues } from '../../src/engine/index.ts'
import type { Engine, GenerationEvent, GenerationRequest, TokenLogprobs } from '../../src/inference/index.ts'
import { f32, randomModelShapes, writeRandomModel } from '../../src/model/index.ts'
import { collect, never, until } from './engine-contract.ts'
import { createRequest } from '../support/generation-request.ts'

/**
 * However a request's KV cells came about, its tokens are those of the same request run alone: wherever the two best
 * logits are more than 0.01 apart, for batches of another shape round differently. Each path is forced, and seen in
 * the metrics.
 */
const model = 'tiny'
const surestMargin = 0.01
let folder = ''
let modelPath = ''
const engines: Engine[] = []
let reference: Engine

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'tokenmill-paths-'))
  modelPath = path.join(folder, 'tiny.gguf')
  await writeRandomModel(modelPath, { shape: randomModelShapes.tiny, seed: 2, format: f32 })
  reference = open({ slots: 1, ctxTotal: 2048, rowPadding: 'off' })
  await reference.ready(never())
})

afterAll(async () => {
  await Promise.all(engines.map((engine) => engine.close()))
  await rm(folder, { recursive: true, force: true })
})

function open(changes: Partial<EngineOptionValues> = {}, file = modelPath): Engine {
  const options = { ...defaultValues(engineOptions), slots: 4, ctxTotal: 4096, ...changes }
  const engine = createEmbeddedEngine({ path: file, name: model }, options)
  engines.push(engine)
  return engine
}

/** Seeded words of the tiny vocabulary, behind its BOS. */
function createPrompt(seed: number, length: number): number[] {
  const random = createRandom(seed)
  return [1, ...Array.from({ length: length - 1 }, () => 300 + Math.floor(random() * 200))]
}

function toRequest(tokens: readonly number[], changes: Partial<GenerationRequest> = {}): GenerationRequest {
  const input = { kind: 'tokens', tokens } as const
  return createRequest({ model, input, maxTokens: 24, ignoreEos: true, logprobs: 2, ...changes })
}

function generate(engine: Engine, tokens: readonly number[], changes: Partial<GenerationRequest> = {}) {
  return collect(engine.generate(toRequest(tokens, changes), never()))
}

/** The same request with nothing beside it. Who asks for the prompt's log-probabilities takes nothing from the cache. */
async function alone(tokens: readonly number[], changes: Partial<GenerationRequest> = {}): Promise<GenerationEvent[]> {
  const events = await generate(reference, tokens, { ...changes, promptLogprobs: 0 })
  expect(cachedOf(events)).toBe(0)
  return events
}

function tokensOf(events: readonly GenerationEvent[], index = 0): TokenLogprobs[] {
  return events.flatMap((event) => (event.type === 'text' && event.index === index ? (event.logprobs ?? []) : []))
}

function cachedOf(events: readonly GenerationEvent[]): number | undefined {
  const usage = events.find((event) => event.type === 'usage')
  return usage?.usage.cachedTokens
}

/** Compares token by token; after a token that was nearly a tie the two texts may part. */
function expectSameTokens(actual: readonly TokenLogprobs[], expected: readonly TokenLogprobs[]): void {
  expect(actual).toHaveLength(expected.length)
  let compared = 0
  for (const [at, { token, top }] of expected.entries()) {
    const margin = (top[0]?.logprob ?? 0) - (top[1]?.logprob ?? -Infinity)
    if (margin <= surestMargin) break
    expect(actual[at]?.token.id).toBe(token.id)
    compared += 1
  }
  expect(compared).toBeGreaterThan(8)
}

describe('A request gives the tokens it gives alone', { timeout: 120_000 }, () => {
  const ways = [
    { kvLayout: 'streams', rowPadding: 'off' },
    { kvLayout: 'streams', rowPadding: 'on' },
    { kvLayout: 'unified', rowPadding: 'on' },
  ] as const
  for (const way of ways) {
    describe(`with KV layout '${way.kvLayout}', row padding ${way.rowPadding}`, () => {
      it('when its prefix is computed by a request that runs at the same time', async () => {
        const engine = open(way)
        const stem = createPrompt(10, 200)
        const prompts = [1, 2, 3, 4].map((seed) => stem.concat(createPrompt(seed, 20).slice(1)))
        const results = await Promise.all(prompts.map((prompt) => generate(engine, prompt)))
        expect(results.map(cachedOf)).toEqual([0, 200, 200, 200])
        expect(engine.status().prefixCache?.hits).toBe(600)
        for (const [at, prompt] of prompts.entries()) {
          expectSameTokens(tokensOf(results[at] ?? []), tokensOf(await alone(prompt)))
        }
      })

      it('when its prefix was left by a request that has ended, in the middle of which it forks off', async () => {
        const engine = open(way)
        const stem = createPrompt(51, 150)
        await generate(engine, [...stem, ...createPrompt(1, 60).slice(1)])
        const prompt = [...stem, ...createPrompt(2, 30).slice(1)]
        const events = await generate(engine, prompt)
        expect(cachedOf(events)).toBe(150)
        expectSameTokens(tokensOf(events), tokensOf(await alone(prompt)))
      })

      it('when what is kept of it lies beside streams that run in the meantime', async () => {
        const engine = open(way)
        const prompt = createPrompt(61, 90)
        await generate(engine, prompt)
        await Promise.all([62, 63, 64].map((seed) => generate(engine, createPrompt(seed, 35))))
        const again = await generate(engine, prompt)
        expect(cachedOf(again)).toBe(89)
        expectSameTokens(tokensOf(again), tokensOf(await alone(prompt)))
      })

      it('when it is one of several continuations of one prefill', async () => {
        const engine = open(way)
        const prompt = createPrompt(12, 100)
        const events = await generate(engine, prompt, { n: 4 })
        const expected = tokensOf(await alone(prompt))
        for (const index of [0, 1, 2, 3]) expectSameTokens(tokensOf(events, index), expected)
        // One prefill, and the last token of the prompt again for each of the other three.
        expect(engine.status().prefixCache).toEqual({ queries: 400, hits: 297 })
      })

      it('when its prompt is computed in small chunks beside running streams', async () => {
        const engine = open({ ...way, stepTargetMs: 0.01 })
        const reading = new AbortController()
        const busy = collect(engine.generate(toRequest(createPrompt(13, 20), { maxTokens: 900 }), reading.signal))
        const ended = busy.catch((error: unknown) => error)
        await until(() => engine.status().running === 1)
        const prompt = createPrompt(14, 300)
        const events = await generate(engine, prompt)
        reading.abort()
        await ended
        expectSameTokens(tokensOf(events), tokensOf(await alone(prompt)))
      })

      it('when what was kept of it has been evicted', async () => {
        const engine = open({ ...way, slots: 1, ctxTotal: 512 })
        const prompt = createPrompt(15, 200)
        const first = await generate(engine, prompt)
        for (const seed of [16, 17, 18, 19]) await generate(engine, createPrompt(seed, 300))
        const again = await generate(engine, prompt)
        expect(cachedOf(again)).toBeLessThan(2)
        expectSameTokens(tokensOf(again), tokensOf(first))
      })

      it('when sequences before and behind it end and the others move together', async () => {
        const engine = open({ ...way, slots: 6, ctxTotal: 6144 })
        const prompts = [20, 21, 22, 23, 24, 25].map((seed) => createPrompt(seed, 40))
        const lengths = [3, 60, 6, 60, 9, 60]
        const results = await Promise.all(
          prompts.map((prompt, at) => generate(engine, prompt, { maxTokens: lengths[at] })),
        )
        for (const at of [1, 3, 5]) {
          const expected = await alone(prompts[at] ?? [], { maxTokens: 60 })
          expectSameTokens(tokensOf(results[at] ?? []), tokensOf(expected))
        }
      })
    })
  }

  it('when it was preempted for want of KV cells and computed again', async () => {
    const engine = open({ kvLayout: 'unified', ctxTotal: 512 })
    const prompts = [30, 31, 32, 33].map((seed) => createPrompt(seed, 100))
    const changes = { maxTokens: 80 }
    const results = await Promise.all(prompts.map((prompt) => generate(engine, prompt, changes)))
    expect(engine.status().preemptions).toBeGreaterThan(0)
    for (const [at, prompt] of prompts.entries()) {
      expectSameTokens(tokensOf(results[at] ?? []), tokensOf(await alone(prompt, changes)))
    }
  })

  it('when its KV cells are kept in eight bits, as alone in eight bits', async () => {
    // Blocks of eight-bit values are 32 long, and so must heads be.
    const wider = path.join(folder, 'wider.gguf')
    await writeRandomModel(wider, { shape: { ...randomModelShapes.tiny, embedding: 128 }, seed: 3, format: f32 })
    const engine = open({ kvType: 'q8_0' }, wider)
    const prompt = createPrompt(40, 120)
    const first = await generate(engine, prompt)
    const again = await generate(engine, prompt)
    expect(cachedOf(again)).toBe(119)
    expectSameTokens(tokensOf(again), tokensOf(first))
  })
})
