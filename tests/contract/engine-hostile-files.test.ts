import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createRandom, defaultValues, TokenmillError } from '../../src/core/index.ts'
import { createEmbeddedEngine, engineOptions } from '../../src/engine/index.ts'
import { f32, randomModelShapes, writeRandomModel } from '../../src/model/index.ts'
import { collect, never, textOf } from './engine-contract.ts'
import { createRequest } from '../support/generation-request.ts'

let folder = ''
let whole: Buffer

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'tokenmill-hostile-'))
  const file = path.join(folder, 'whole.gguf')
  await writeRandomModel(file, { shape: randomModelShapes.tiny, seed: 1, format: f32 })
  whole = await readFile(file)
})

afterAll(() => rm(folder, { recursive: true, force: true }))

/** A 32-bit value of the header, written over. */
function withNumber(key: string, value: number): Buffer {
  const bytes = Buffer.from(whole)
  // Key, then four bytes of type, then the value.
  const at = bytes.indexOf(key) + key.length + 4
  bytes.writeUInt32LE(value, at)
  return bytes
}

/** What came of serving the file: its text, or the error. The test process itself must live on. */
async function serve(name: string, bytes: Buffer): Promise<string | TokenmillError> {
  const file = path.join(folder, name)
  await writeFile(file, bytes)
  const options = { ...defaultValues(engineOptions), slots: 1, ctxTotal: 256 }
  try {
    const engine = createEmbeddedEngine({ path: file, name: 'model' }, options)
    try {
      await engine.ready(never())
      return textOf(await collect(engine.generate(createRequest({ model: 'model', maxTokens: 4 }), never())))
    } finally {
      await engine.close()
    }
  } catch (error) {
    if (error instanceof TokenmillError) return error
    throw error
  }
}

describe('The embedded engine, given a hostile file', { timeout: 120_000 }, () => {
  it('says what is wrong with absurd numbers, naming the file', async () => {
    const cases = [
      ['llama.block_count', 0xffff_ffff],
      ['llama.block_count', 1_000_000],
      ['llama.embedding_length', 0xffff_fff0],
      ['llama.attention.head_count', 0],
      ['llama.attention.head_count_kv', 0xffff_ffff],
      ['llama.rope.dimension_count', 0x7fff_ffff],
      ['llama.feed_forward_length', 3],
    ] as const
    for (const [key, value] of cases) {
      const result = await serve(`${key}.gguf`, withNumber(key, value))
      expect(result, `${key} = ${value}`).toMatchObject({ code: 'startup' })
      expect(result instanceof TokenmillError ? result.message : '').toContain(`${key}.gguf`)
    }
  })

  it('survives files cut anywhere', async () => {
    for (const share of [0, 0.001, 0.3, 0.9999]) {
      const result = await serve('cut.gguf', whole.subarray(0, Math.floor(whole.length * share)))
      expect(result, `cut at ${share}`).toBeInstanceOf(TokenmillError)
    }
  })

  it('survives headers with flipped bytes: an error, or tokens', async () => {
    const random = createRandom(11)
    const headerBytes = whole.indexOf('token_embd.weight') + 2000
    for (let round = 0; round < 6; round += 1) {
      const bytes = Buffer.from(whole)
      for (let flip = 0; flip < 4; flip += 1) bytes[Math.floor(random() * headerBytes)] = Math.floor(random() * 256)
      const result = await serve('flipped.gguf', bytes)
      if (typeof result !== 'string') expect(['startup', 'limit_exceeded', 'engine_failed']).toContain(result.code)
    }
  })
})
