import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { defaultValues } from '../../src/core/index.ts'
import { createEmbeddedEngine, engineOptions } from '../../src/engine/index.ts'
import type { Engine, RerankResult } from '../../src/inference/index.ts'
import { f32, randomModelShapes, writeRandomModel } from '../../src/model/index.ts'
import { wordWeights, writeMadeCrossEncoder, writeRandomQwenReranker } from '../support/made-rankers.ts'
import { collect, never } from './engine-contract.ts'
import { createRequest } from '../support/generation-request.ts'

let folder = ''
const engines = new Map<string, Engine>()

function open(name: string): Engine {
  const options = { ...defaultValues(engineOptions), slots: 2, ctxTotal: 1024, maxEmbeddingTokens: 256 }
  const engine = createEmbeddedEngine({ path: path.join(folder, `${name}.gguf`), name }, options)
  engines.set(name, engine)
  return engine
}

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'tokenmill-rerank-'))
  const file = (name: string) => path.join(folder, `${name}.gguf`)
  await writeMadeCrossEncoder(file('bert'))
  await writeMadeCrossEncoder(file('vectors'), { head: false })
  await writeMadeCrossEncoder(file('sorter'), { classes: 3 })
  await writeRandomQwenReranker(file('qwen'), 5)
  await writeRandomModel(file('tiny'), { shape: randomModelShapes.tiny, seed: 4, format: f32 })
  for (const name of ['bert', 'vectors', 'sorter', 'qwen', 'tiny']) open(name)
}, 60_000)

afterAll(async () => {
  await Promise.all([...engines.values()].map((engine) => engine.close()))
  await rm(folder, { recursive: true, force: true })
})

function engineOf(name: string): Engine {
  const engine = engines.get(name)
  if (engine === undefined) throw new Error(`no engine ${name}`)
  return engine
}

async function rank(name: string, query: string, documents: readonly string[]): Promise<RerankResult> {
  const result = await engineOf(name).rerank?.({ id: 'test', model: name, query, documents }, never())
  if (result === undefined) throw new Error('The engine does not rank.')
  return result
}

/** By the made model's rule: the mean weight of the words, marks and unknown words counting 0. */
function meanWeight(query: string, document: string): number {
  const words = `${query} ${document}`.split(' ')
  const sum = words.reduce((total, word) => total + (wordWeights[word] ?? 0), 0)
  return sum / (words.length + 3)
}

const orderOf = (scores: readonly number[]) => [...scores.keys()].sort((a, b) => (scores[b] ?? 0) - (scores[a] ?? 0))

describe('reranking by the embedded engine', { timeout: 60_000 }, () => {
  it('orders documents as a cross-encoder does whose answer is worked out by hand', async () => {
    const query = 'what is a river'
    const documents = [
      'iron iron',
      'river water',
      'stone',
      'boat water stone',
      'river river river',
      'iron boat',
      'unheard words',
    ]
    const { scores, promptTokens } = await rank('bert', query, documents)
    const expected = documents.map((document) => meanWeight(query, document))
    expect(orderOf(scores)).toEqual(orderOf(expected))
    for (const score of scores) expect(score > 0 && score < 1).toBe(true)
    // [CLS] query [SEP] document, and no mark at the end: the vocabulary adds none.
    const words = documents.reduce((sum, document) => sum + document.split(' ').length + 4 + 2, 0)
    expect(promptTokens).toBe(words)
  })

  it('gives a document the same score alone and among many, over several batches', async () => {
    const words = Object.keys(wordWeights)
    const documents = Array.from(
      { length: 40 },
      (_, at) => `${words[at % 8]} ${words[(at * 3) % 8]} ${words[(at * 5) % 7]}`,
    )
    for (const model of ['bert', 'qwen']) {
      const together = await rank(model, 'water', documents)
      expect(together.scores).toHaveLength(40)
      expect(new Set(together.scores.map((score) => score.toFixed(6))).size).toBeGreaterThan(5)
      for (const at of [0, 15, 16, 39]) {
        const alone = await rank(model, 'water', [documents[at] ?? ''])
        expect(Math.abs((together.scores[at] ?? 0) - (alone.scores[0] ?? 1))).toBeLessThan(2e-3)
      }
    }
  })

  it('asks a reranker of the Qwen3 kind by its template; its scores are probabilities', async () => {
    const { scores, promptTokens } = await rank('qwen', 'ab', ['cd', 'efg'])
    for (const score of scores) expect(score > 0 && score < 1).toBe(true)
    // Every letter is a token here; the template's marks stand before and behind.
    const rendered = (document: string) => 1 + '▁query: ab\ndocument: '.length + document.length + 1
    expect(promptTokens).toBe(rendered('cd') + rendered('efg'))
    // A control token that a document spells is plain text in it.
    const spelled = await rank('qwen', 'ab', ['<|im_end|>'])
    expect(spelled.promptTokens).toBe(rendered('<|im_end|>'))
  })

  it('refuses what ranks nothing, and says what to do', async () => {
    for (const model of ['tiny', 'vectors']) {
      await expect(rank(model, 'a', ['b'])).rejects.toMatchObject({
        code: 'unsupported',
        message: expect.stringMatching(/is no reranker\. Serve a reranker/),
        details: { param: 'model' },
      })
    }
    await expect(rank('sorter', 'a', ['b'])).rejects.toMatchObject({
      code: 'unsupported',
      message: expect.stringMatching(/3 classes/),
    })
  })

  it('refuses a document that is too long, naming it and the limit', async () => {
    const long = Array.from({ length: 100 }, () => 'water').join(' ')
    await expect(rank('bert', 'river', ['water', long])).rejects.toMatchObject({
      code: 'context_length_exceeded',
      details: { limit: 'maxEmbeddingTokens', maximum: 64, actual: 103, param: 'documents[1]' },
    })
  })

  it('does nothing else with a model that is made for one thing', async () => {
    const generate = (model: string) =>
      collect(engineOf(model).generate(createRequest({ model, maxTokens: 2 }), never()))
    const embed = (model: string) =>
      engineOf(model).embed?.({ id: 'e', model, inputs: ['river'], dimensions: undefined }, never())
    await expect(generate('bert')).rejects.toMatchObject({ code: 'unsupported', message: /ask \/v1\/rerank/ })
    await expect(generate('qwen')).rejects.toMatchObject({ code: 'unsupported' })
    await expect(generate('vectors')).rejects.toMatchObject({ code: 'unsupported', message: /ask \/v1\/embeddings/ })
    await expect(embed('bert')).rejects.toMatchObject({ code: 'unsupported', message: /ask \/v1\/rerank/ })
    const embedded = await embed('vectors')
    expect(embedded?.vectors[0]).toHaveLength(32)
    await engineOf('bert').ready(never())
    expect(engineOf('bert').status()).toMatchObject({ state: 'ready', running: 0, waiting: 0 })
  })
})
