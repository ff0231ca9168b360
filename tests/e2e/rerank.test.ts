import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { writeMadeCrossEncoder } from '../support/made-rankers.ts'
import { startServe, type StartedServer } from './start-cli.ts'

/** `/v1/rerank` as a client meets it, with a cross-encoder whose order is known. */
let folder = ''
let server: StartedServer

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'tokenmill-rerank-'))
  const ranker = path.join(folder, 'ranker.gguf')
  await writeMadeCrossEncoder(ranker)
  const nano = path.resolve(import.meta.dirname, '../../models/nano/nano.gguf')
  server = await startServe('--model', ranker, '--model', nano)
})

afterAll(async () => {
  expect(await server.stop()).toBe(0)
  await rm(folder, { recursive: true, force: true })
})

async function post(body: object): Promise<{ readonly status: number; readonly answer: unknown }> {
  const response = await fetch(`${server.url}/v1/rerank`, { method: 'POST', body: JSON.stringify(body) })
  return { status: response.status, answer: await response.json() }
}

const asked = { model: 'ranker', query: 'what is a river', documents: ['iron', 'river water', 'stone', 'water'] }

describe('POST /v1/rerank', () => {
  it('answers in falling relevance, with the documents and the tokens that were read', async () => {
    const { status, answer } = await post(asked)
    expect(status).toBe(200)
    expect(answer).toMatchObject({
      model: 'ranker',
      results: [
        { index: 1, document: { text: 'river water' }, relevance_score: expect.any(Number) },
        { index: 3, document: { text: 'water' } },
        { index: 2, document: { text: 'stone' } },
        { index: 0, document: { text: 'iron' } },
      ],
      usage: { prompt_tokens: 29, total_tokens: 29 },
    })
  })

  it('is what the server shows how to ask', () => {
    expect(server.output()).toMatch(/curl http:\S+\/v1\/rerank .*"query"/)
  })

  it('gives the best top_n, and no documents where none are wanted', async () => {
    const { answer } = await post({ ...asked, top_n: 2, return_documents: false })
    expect(answer).toMatchObject({ results: [{ index: 1 }, { index: 3 }] })
    expect(JSON.stringify(answer)).not.toContain('"document"')
  })

  it('refuses models that rank nothing with 400, and says what to do', async () => {
    const { status, answer } = await post({ ...asked, model: 'nano' })
    expect(status).toBe(400)
    expect(answer).toMatchObject({
      error: {
        code: 'unsupported',
        param: 'model',
        message: expect.stringMatching(/'nano' is no reranker\. Serve a reranker/),
      },
    })
    const chat = server.client.chat.completions.create({ model: 'ranker', messages: [{ role: 'user', content: 'Hi' }] })
    await expect(chat).rejects.toMatchObject({ status: 400, message: expect.stringMatching(/ask \/v1\/rerank/) })
  })
})
