import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { defaultValues } from '../../src/core/index.ts'
import { createEmbeddedEngine, engineOptions } from '../../src/engine/index.ts'
import type { EmbeddingRequest, EmbeddingResult, Engine } from '../../src/inference/index.ts'
import { f32, randomModelShapes, writeRandomModel } from '../../src/model/index.ts'
import { createRequest } from '../support/generation-request.ts'
import { never } from './engine-contract.ts'

const model = 'tiny'
let folder = ''
let engine: Engine

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'tokenmill-embeddings-'))
  const modelPath = path.join(folder, 'tiny.gguf')
  await writeRandomModel(modelPath, { shape: randomModelShapes.tiny, seed: 4, format: f32 })
  const options = {
    ...defaultValues(engineOptions),
    slots: 2,
    ctxTotal: 8192,
    maxEmbeddingTokens: 64,
    streamIntervalMs: 0,
  }
  engine = createEmbeddedEngine({ path: modelPath, name: model }, options)
  await engine.ready(never())
}, 60_000)

afterAll(async () => {
  await engine.close()
  await rm(folder, { recursive: true, force: true })
})

async function embed(inputs: EmbeddingRequest['inputs'], dimensions?: number): Promise<EmbeddingResult> {
  if (engine.embed === undefined) throw new Error('The engine does not embed.')
  return await engine.embed({ id: 'test', model, inputs, dimensions }, never())
}

const dot = (a: Float32Array | undefined, b: Float32Array | undefined) =>
  (a ?? new Float32Array()).reduce((sum, value, at) => sum + value * (b?.[at] ?? 0), 0)

describe('embeddings of the embedded engine', () => {
  it('gives one vector of unit length for each input, and counts their tokens', async () => {
    const { vectors, promptTokens } = await embed(['one text', [1, 300, 301], 'another text, a little longer'])
    expect(vectors).toHaveLength(3)
    for (const vector of vectors) expect(dot(vector, vector)).toBeCloseTo(1, 4)
    expect(promptTokens).toBeGreaterThan(5)
    expect(dot(vectors[0], vectors[1])).toBeLessThan(0.9999)
  })

  it('takes token ids with texts among them', async () => {
    const tokens =
      (await engine.tokenize?.(model, { kind: 'text', text: 'a text', addSpecialTokens: false }, never())) ?? []
    const [mixed, written] = (
      await embed([
        [1, 'a text', 300],
        [1, ...tokens, 300],
      ])
    ).vectors
    expect(dot(mixed, written)).toBeGreaterThan(0.9999)
  })

  it('gives the same vector alone and among many, in the order of the inputs', async () => {
    const inputs = Array.from({ length: 40 }, (_, at) => [1, 260 + at, 261 + at, 262 + (at % 7)])
    const together = await embed(inputs)
    for (const at of [0, 15, 16, 39]) {
      const alone = await embed([inputs[at] ?? []])
      expect(dot(together.vectors[at], alone.vectors[0])).toBeGreaterThan(0.9999)
    }
  })

  it('cuts to the dimensions asked for, of unit length again', async () => {
    const { vectors } = await embed(['text'], 8)
    expect(vectors[0]).toHaveLength(8)
    expect(dot(vectors[0], vectors[0])).toBeCloseTo(1, 4)
    await expect(embed(['text'], 100_000)).rejects.toMatchObject({ code: 'invalid_request' })
  })

  it('refuses inputs that are empty, too long, or no tokens of the model', async () => {
    await expect(embed([[]])).rejects.toMatchObject({ code: 'invalid_request', details: { param: 'input[0]' } })
    await expect(embed([Array.from({ length: 65 }, () => 300)])).rejects.toMatchObject({
      code: 'context_length_exceeded',
      details: { limit: 'maxEmbeddingTokens', maximum: 64, actual: 65 },
    })
    await expect(embed([[999_999]])).rejects.toMatchObject({ code: 'invalid_request' })
  })

  it('generates and embeds beside each other', async () => {
    const request = {
      id: 'both',
      model,
      inputs: Array.from({ length: 64 }, () => 'some text to embed'),
      dimensions: undefined,
    }
    const embedding = engine.embed?.(request, never())
    const { collect } = await import('./engine-contract.ts')
    const events = collect(
      engine.generate(createRequest({ model, input: { kind: 'tokens', tokens: [1, 300] }, maxTokens: 20 }), never()),
    )
    expect((await embedding)?.vectors).toHaveLength(64)
    expect((await events).some((event) => event.type === 'finished')).toBe(true)
  })

  it('lets a running stream step between two batches, and forgets a call whose client has left', async () => {
    const { collect, until } = await import('./engine-contract.ts')
    const reading = new AbortController()
    let steps = 0
    const request = createRequest({
      model,
      input: { kind: 'tokens', tokens: [1, 300] },
      maxTokens: 4000,
      ignoreEos: true,
      logprobs: 0,
    })
    const counting = async function* () {
      for await (const event of engine.generate(request, reading.signal)) {
        if (event.type === 'text') steps += event.tokens
        yield event
      }
    }
    const stream = collect(counting())
    await until(() => steps > 0)
    const inputs = Array.from({ length: 32 }, () => Array.from({ length: 60 }, (_, at) => 260 + at))
    const left = new AbortController()
    const abandoned = engine.embed?.({ id: 'left', model, inputs, dimensions: undefined }, left.signal)
    left.abort()
    await expect(abandoned).rejects.toMatchObject({ code: 'cancelled' })
    const before = steps
    expect((await embed(inputs)).vectors).toHaveLength(32)
    // Two inputs a batch beside a stream: sixteen batches, each behind a step.
    expect(steps - before).toBeGreaterThanOrEqual(14)
    reading.abort()
    await expect(stream).rejects.toMatchObject({ code: 'cancelled' })
  })
})
