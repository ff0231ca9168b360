import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createRandom, defaultValues } from '../../src/core/index.ts'
import { createEmbeddedEngine, engineOptions, type NamedAdapter } from '../../src/engine/index.ts'
import type { Engine, GenerationEvent, TokenLogprobs } from '../../src/inference/index.ts'
import { f32, randomModelShapes, writeRandomModel } from '../../src/model/index.ts'
import { writeMergedModel, writeRandomAdapter, type RandomAdapter } from '../support/random-adapter.ts'
import { collect, never } from './engine-contract.ts'
import { createRequest } from '../support/generation-request.ts'

/** LoRA adapters of random matrices over a model of random weights, in F32: what is right can be computed by hand. */
let folder = ''
let basePath = ''
let one: RandomAdapter
let other: RandomAdapter
const engines: Engine[] = []
let engine: Engine
const both = (): readonly NamedAdapter[] => [
  { name: 'one', path: inFolder('one.gguf'), scale: 1 },
  { name: 'other', path: inFolder('other.gguf'), scale: 0.5 },
]

const inFolder = (name: string) => path.join(folder, name)

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'tokenmill-adapters-'))
  basePath = inFolder('base.gguf')
  await writeRandomModel(basePath, { shape: randomModelShapes.tiny, seed: 6, format: f32 })
  const usual = { basePath, rank: 4, alpha: 8, strength: 0.2 }
  one = { ...usual, weights: /attn_(q|v)\.weight$/, seed: 1 }
  other = { ...usual, weights: /(attn_output|ffn_(gate|up|down))\.weight$/, seed: 2 }
  await writeRandomAdapter(inFolder('one.gguf'), one)
  await writeRandomAdapter(inFolder('other.gguf'), other)
  engine = open(both())
  await engine.ready(never())
}, 60_000)

afterAll(async () => {
  await Promise.all(engines.map((each) => each.close()))
  await rm(folder, { recursive: true, force: true })
})

function open(adapters: readonly NamedAdapter[], file = basePath, kvLayout: 'streams' | 'unified' = 'streams'): Engine {
  const options = { ...defaultValues(engineOptions), slots: 6, ctxTotal: 6 * 512, kvLayout }
  const opened = createEmbeddedEngine({ path: file, name: 'base', adapters }, options)
  engines.push(opened)
  return opened
}

function createPrompt(seed: number, length: number): number[] {
  const random = createRandom(seed)
  return [1, ...Array.from({ length: length - 1 }, () => 300 + Math.floor(random() * 200))]
}

function generate(from: Engine, model: string, tokens: readonly number[], maxTokens = 24): Promise<GenerationEvent[]> {
  const input = { kind: 'tokens', tokens } as const
  return collect(from.generate(createRequest({ model, input, maxTokens, ignoreEos: true, logprobs: 2 }), never()))
}

const tokensOf = (events: readonly GenerationEvent[]): TokenLogprobs[] =>
  events.flatMap((event) => (event.type === 'text' ? (event.logprobs ?? []) : []))
const idsOf = (events: readonly GenerationEvent[]) => tokensOf(events).map(({ token }) => token.id)
const cachedOf = (events: readonly GenerationEvent[]) =>
  events.find((event) => event.type === 'usage')?.usage.cachedTokens

/** Equal as far as the best two logits are apart; where they nearly tie, texts may part. */
function expectSame(actual: readonly GenerationEvent[], expected: readonly GenerationEvent[], within: number): void {
  let compared = 0
  const found = tokensOf(actual)
  for (const [at, { token, top }] of tokensOf(expected).entries()) {
    if ((top[0]?.logprob ?? 0) - (top[1]?.logprob ?? -Infinity) <= 2 * within) break
    expect(found[at]?.token.id).toBe(token.id)
    expect(Math.abs((found[at]?.token.logprob ?? Infinity) - token.logprob)).toBeLessThan(within)
    compared += 1
  }
  expect(compared).toBeGreaterThan(5)
}

describe('LoRA adapters of the embedded engine', { timeout: 120_000 }, () => {
  it('are models of their own to clients, with the base as their parent', () => {
    expect(engine.models()).toMatchObject([
      { name: 'base', parent: undefined, root: basePath },
      { name: 'one', parent: 'base', root: inFolder('one.gguf') },
      { name: 'other', parent: 'base', root: inFolder('other.gguf') },
    ])
  })

  it('give what the model gives whose weights hold the product, and leave the base as it is', async () => {
    await writeMergedModel(inFolder('merged-one.gguf'), one, 1)
    await writeMergedModel(inFolder('merged-other.gguf'), other, 0.5)
    const plain = open([])
    const merged = open([], inFolder('merged-one.gguf'))
    const mergedOther = open([], inFolder('merged-other.gguf'))
    for (const seed of [1, 2, 3]) {
      const prompt = createPrompt(seed, 30)
      const base = await generate(engine, 'base', prompt)
      const adapted = await generate(engine, 'one', prompt)
      expect(idsOf(adapted)).not.toEqual(idsOf(base))
      expectSame(adapted, await generate(merged, 'base', prompt), 0.02)
      expectSame(await generate(engine, 'other', prompt), await generate(mergedOther, 'base', prompt), 0.02)
      expectSame(base, await generate(plain, 'base', prompt), 0.001)
    }
  })

  it.each(['streams', 'unified'] as const)(
    'run beside each other and the base in KV layout %s, and take no prefix from one another',
    async (kvLayout) => {
      const prompt = createPrompt(20, 120)
      const models = ['base', 'one', 'other', 'base', 'one', 'other']
      const shared = open(both(), basePath, kvLayout)
      const together = await Promise.all(models.map((model) => generate(shared, model, prompt)))
      expect(together.map(cachedOf)).toEqual([0, 0, 0, 119, 119, 119])
      for (const [at, model] of models.entries()) {
        expectSame(together[at] ?? [], await generate(engine, model, prompt), 0.01)
      }
    },
  )

  it('change embeddings too', async () => {
    const embed = async (model: string) => {
      const result = await engine.embed?.({ id: 'e', model, inputs: ['some text'], dimensions: undefined }, never())
      return result?.vectors[0] ?? new Float32Array()
    }
    const [base, adapted, again] = [await embed('base'), await embed('one'), await embed('base')]
    expect(again).toEqual(base)
    expect(adapted).not.toEqual(base)
  })

  it('are not found under names that nobody gave', async () => {
    await expect(generate(engine, 'absent', [1, 300])).rejects.toMatchObject({
      code: 'model_not_found',
      details: { available: ['base', 'one', 'other'] },
    })
  })
})

describe('An adapter that does not belong', { timeout: 60_000 }, () => {
  const refused = (file: string, reason: RegExp) => {
    const adapters = [{ name: 'x', path: file, scale: 1 }]
    expect(() => open(adapters)).toThrow(
      expect.objectContaining({ code: 'startup', message: expect.stringMatching(reason) }),
    )
  }

  it('of another model is refused at the start, naming both files and what does not fit', async () => {
    const wider = inFolder('wider.gguf')
    await writeRandomModel(wider, { shape: { ...randomModelShapes.tiny, embedding: 128 }, seed: 3, format: f32 })
    await writeRandomAdapter(inFolder('wide.gguf'), { ...one, basePath: wider })
    refused(
      inFolder('wide.gguf'),
      /wide\.gguf' is no LoRA adapter for 'base\.gguf'.*attn_q\.weight of 128 × 128; the model's is 64 × 64/,
    )
    const deeper = inFolder('deeper.gguf')
    await writeRandomModel(deeper, { shape: { ...randomModelShapes.tiny, layers: 3 }, seed: 3, format: f32 })
    await writeRandomAdapter(inFolder('deep.gguf'), { ...one, basePath: deeper })
    refused(inFolder('deep.gguf'), /the model has no tensor blk\.2\./)
    await writeRandomAdapter(inFolder('foreign.gguf'), one, { 'general.architecture': 'gemma3' })
    refused(inFolder('foreign.gguf'), /made for the architecture "gemma3"; the model is "llama"/)
  })

  it('is refused where it is a model, of another kind, empty, or no file', async () => {
    refused(basePath, /general\.type is "missing", not "adapter"/)
    await writeRandomAdapter(inFolder('kind.gguf'), one, { 'adapter.type': 'control' })
    refused(inFolder('kind.gguf'), /adapter\.type is "control", not "lora"/)
    await writeRandomAdapter(inFolder('empty.gguf'), { ...one, weights: /^nothing$/ })
    refused(inFolder('empty.gguf'), /changes no weight/)
    refused(inFolder('absent.gguf'), /absent\.gguf/)
  })

  it('is refused as a model, and says how it is served', () => {
    expect(() => open([], inFolder('one.gguf'))).toThrow(
      /one\.gguf' cannot be served: it is an adapter; .* --lora name=path/,
    )
  })

  it('is refused where its file is cut off: an error of the start, and this process lives', async () => {
    const whole = await readFile(inFolder('one.gguf'))
    await writeFile(inFolder('cut.gguf'), whole.subarray(0, whole.length - 400))
    const cut = open([{ name: 'x', path: inFolder('cut.gguf'), scale: 1 }])
    await expect(cut.ready(never())).rejects.toMatchObject({
      code: 'startup',
      message: expect.stringContaining('cut.gguf'),
    })
  })
})
