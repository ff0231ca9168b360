import path from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { defaultValues } from '../../src/core/index.ts'
import { createEmbeddedEngine, engineOptions } from '../../src/engine/index.ts'
import type { Engine } from '../../src/inference/index.ts'
import { collect, failureOf, never, until } from './engine-contract.ts'
import { createRequest } from '../support/generation-request.ts'

const model = 'nano'
let engine: Engine

beforeAll(async () => {
  const options = { ...defaultValues(engineOptions), slots: 2, ctx: 4096, streamIntervalMs: 0 }
  engine = createEmbeddedEngine({ path: path.resolve('models/nano/nano.gguf'), name: model }, options)
  await engine.ready(never())
}, 60_000)

afterAll(async () => {
  await engine.close()
})

const text = (length: number): string => 'Grind the beans and pour the water. '.repeat(length / 36)
const tokenize = async (prompt: string, signal = never()): Promise<readonly number[]> =>
  (await engine.tokenize?.(model, { kind: 'text', text: prompt, addSpecialTokens: false }, signal)) ?? []

describe('Long texts in the embedded engine', { timeout: 120_000 }, () => {
  it('become the tokens that short ones become', async () => {
    const [short, long] = [await tokenize(text(3600)), await tokenize(text(36_000))]
    expect(long.slice(0, short.length - 8)).toEqual(short.slice(0, -8))
    expect(long.length).toBeGreaterThan(9.9 * short.length)
    expect((await engine.detokenize?.(model, long, never()))?.trim()).toBe(text(36_000).trim())
  })

  it('are tokenized while a stream goes on', async () => {
    const reading = new AbortController()
    let steps = 0
    const streaming = async (): Promise<void> => {
      const request = createRequest({ model, maxTokens: 4000, ignoreEos: true })
      for await (const event of engine.generate(request, reading.signal)) if (event.type === 'text') steps += 1
    }
    const stream = streaming()
    await until(() => steps > 0)
    let told = 0
    const tokenizing = tokenize(text(504_000)).then((tokens) => {
      told = steps
      return tokens
    })
    const before = steps
    expect((await tokenizing).length).toBeGreaterThan(50_000)
    // In one go between two steps, the stream would have told at most a step or two.
    expect(told - before).toBeGreaterThan(3)
    reading.abort()
    await expect(stream).rejects.toMatchObject({ code: 'cancelled' })
  })

  it('are forgotten with the client that leaves, and refused by their bytes beyond the limits', async () => {
    const leaving = new AbortController()
    const left = tokenize(text(504_000), leaving.signal)
    const prompt = createRequest({ model, input: { kind: 'text', text: text(36_000) } })
    const abandoned = collect(engine.generate(prompt, leaving.signal))
    leaving.abort()
    await expect(left).rejects.toMatchObject({ code: 'cancelled' })
    await expect(abandoned).rejects.toMatchObject({ code: 'cancelled' })
    expect(await failureOf(tokenize('a'.repeat(600_000)))).toMatchObject({
      code: 'limit_exceeded',
      details: { limit: 'maxTokenizeBytes', param: 'prompt' },
    })
    const huge = createRequest({ model, input: { kind: 'text', text: 'a'.repeat(15e6) } })
    expect(await failureOf(collect(engine.generate(huge, never())))).toMatchObject({
      code: 'context_length_exceeded',
      details: { unit: 'bytes' },
    })
    // Some bytes more than a token has on average: only the tokenizer can tell.
    const long = createRequest({ model, input: { kind: 'text', text: text(36_000) } })
    expect(await failureOf(collect(engine.generate(long, never())))).toMatchObject({
      code: 'context_length_exceeded',
      details: { unit: 'tokens', maximum: 4096 },
    })
    expect(engine.status().running).toBe(0)
  })
})
