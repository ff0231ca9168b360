import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createRandom, defaultValues, TokenmillError } from '../../src/core/index.ts'
import { createEmbeddedEngine, engineOptions } from '../../src/engine/index.ts'
import type { Engine, GenerationEvent, GenerationRequest, JsonSchema } from '../../src/inference/index.ts'
import { f32, randomModelShapes, writeRandomModel } from '../../src/model/index.ts'
import { createJudge } from '../support/json-validator.ts'
import { randomSchema } from '../support/random-schema.ts'
import { collect, never } from './engine-contract.ts'
import { createRequest } from '../support/generation-request.ts'

/**
 * Grammars in the real engine, with a model of random weights: it has no idea what JSON is, so whatever is valid is
 * valid because of the grammar. It is nudged towards ending strings and lists, which chance alone rarely does.
 */
const model = 'tiny'
let folder = ''
let engine: Engine
let nudges: ReadonlyMap<number, number>

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'tokenmill-grammar-'))
  const modelPath = path.join(folder, 'tiny.gguf')
  await writeRandomModel(modelPath, { shape: randomModelShapes.tiny, seed: 3, format: f32 })
  const options = { ...defaultValues(engineOptions), slots: 8, ctxTotal: 8 * 2048 }
  engine = createEmbeddedEngine({ path: modelPath, name: model }, options)
  await engine.ready(never())
  const closers = await engine.tokenize?.(model, { kind: 'text', text: '"}]', addSpecialTokens: false }, never())
  expect(closers?.length).toBeGreaterThanOrEqual(3)
  nudges = new Map(closers?.map((token) => [token, 5]))
}, 60_000)

afterAll(async () => {
  await engine.close()
  await rm(folder, { recursive: true, force: true })
})

function generate(changes: Partial<GenerationRequest>): Promise<GenerationEvent[]> {
  const base = createRequest({ model, input: { kind: 'tokens', tokens: [1, 300, 301] }, maxTokens: 1500 })
  const sampling = { ...base.sampling, temperature: 1, seed: 7, logitBias: nudges }
  return collect(engine.generate({ ...base, sampling, ...changes }, never()))
}

function textOf(events: readonly GenerationEvent[]): string {
  return events.flatMap((event) => (event.type === 'text' ? [event.text] : [])).join('')
}

function endOf(events: readonly GenerationEvent[]): string | undefined {
  return events.find((event) => event.type === 'finished')?.reason
}

const asked = (schema: JsonSchema) => ({ kind: 'jsonSchema', name: 'test', schema, strict: true }) as const

describe('grammars in the embedded engine', () => {
  it('makes a model of random weights write values that satisfy their schema: 500 random ones', async () => {
    const seeds = Array.from({ length: 500 }, (_, at) => at + 1)
    let complete = 0
    let refused = 0
    await Promise.all(
      seeds.map(async (seed) => {
        const schema = randomSchema(createRandom(seed))
        try {
          // Chance nests recursive schemas ever deeper: those that are not done by then would never be.
          const events = await generate({ constraint: asked(schema), maxTokens: 300 })
          if (endOf(events) === 'length') return
          const text = textOf(events)
          const fault = createJudge(schema)(JSON.parse(text))
          if (fault !== undefined) expect.fail(`seed ${seed}: ${text}\n${fault}\n${JSON.stringify(schema)}`)
          complete += 1
        } catch (error) {
          if (!(error instanceof TokenmillError) || !['invalid_request', 'unsupported'].includes(error.code))
            throw error
          refused += 1
        }
      }),
    )
    // The others ran into their token limit.
    expect(complete).toBeGreaterThan(450)
    expect(refused).toBeLessThan(10)
  }, 120_000)

  it('writes any object for json_object', async () => {
    const events = await generate({ constraint: { kind: 'jsonObject' } })
    if (endOf(events) === 'stop') expect(JSON.parse(textOf(events))).toBeTypeOf('object')
    else expect(textOf(events)).toMatch(/^\{/)
  })

  it('holds a client’s own grammar, and refuses one that is none', async () => {
    const grammar = 'root ::= ("yes" | "no") ", " [0-9] [0-9]'
    expect(textOf(await generate({ constraint: { kind: 'grammar', grammar } }))).toMatch(/^(yes|no), \d\d$/)
    await expect(generate({ constraint: { kind: 'grammar', grammar: 'root ::= (' } })).rejects.toThrow(/grammar/)
    await expect(generate({ constraint: { kind: 'grammar', grammar: 'root ::= "a"{0,5000}' } })).rejects.toThrow(
      /2000 repetitions/,
    )
  })

  it('binds each continuation of one request', async () => {
    const events = await generate({ n: 3, constraint: asked({ enum: ['red', 'green', 'blue'] }) })
    const texts = [0, 1, 2].map((index) => textOf(events.filter((event) => 'index' in event && event.index === index)))
    for (const text of texts) expect(['"red"', '"green"', '"blue"']).toContain(text)
  })

  it('draws among what fits in proportion to its probability, with and without biases', async () => {
    // Random weights favour a few tokens by far: heat makes the others count.
    const temperature = 12
    const base = createRequest({ model, input: { kind: 'tokens', tokens: [1, 300, 301] }, maxTokens: 1, logprobs: 512 })
    const letters = '"a" | "b" | "c" | "d" | "e" | "ab" | "[" | "(" | "7"'
    const grammar = { kind: 'grammar', grammar: `root ::= (${letters}) [^a-z] [^a-z]` } as const
    const [first] = (await generate(base)).flatMap((event) => (event.type === 'text' ? (event.logprobs ?? []) : []))
    const text = (bytes: Uint8Array) => Buffer.from(bytes).toString()
    const favoured = first?.top.find(({ bytes }) => text(bytes) === 'c')?.id ?? 0
    for (const bias of [0, 9]) {
      const logitBias = new Map(bias === 0 ? [] : [[favoured, bias]])
      const weights = new Map<string, number>()
      for (const { id, bytes, logprob } of first?.top ?? []) {
        if (!/^([a-e[(7]|ab)$/.test(text(bytes))) continue
        const biased = logprob + (id === favoured ? bias : 0)
        // A byte may be a token twice: as itself, and as text.
        weights.set(text(bytes), (weights.get(text(bytes)) ?? 0) + Math.exp(biased / temperature))
      }
      expect(weights.size).toBeGreaterThanOrEqual(8)
      const total = weights.values().reduce((sum, weight) => sum + weight, 0)
      const counts = new Map<string, number>()
      const [requests, each] = [20, 60]
      for (let seed = 0; seed < requests; seed += 1) {
        const sampling = { ...base.sampling, temperature, logitBias, seed: seed * 1000 }
        const events = await generate({ ...base, logprobs: undefined, n: each, constraint: grammar, sampling })
        for (let index = 0; index < each; index += 1) {
          const found = textOf(events.filter((event) => 'index' in event && event.index === index))
          counts.set(found, (counts.get(found) ?? 0) + 1)
        }
      }
      for (const [found, count] of counts) {
        const expected = ((weights.get(found) ?? 0) / total) * requests * each
        expect(Math.abs(count - expected), `${found}: ${count}, expected ${expected}`).toBeLessThan(
          4 * Math.sqrt(expected) + 3,
        )
      }
    }
  })

  it('names the keyword that cannot be enforced', async () => {
    const schema = { type: 'object', properties: { tags: { type: 'array', uniqueItems: true } } }
    await expect(generate({ constraint: asked(schema) })).rejects.toMatchObject({
      code: 'unsupported',
      details: { param: 'response_format.json_schema.schema.properties.tags.uniqueItems' },
    })
  })
})
