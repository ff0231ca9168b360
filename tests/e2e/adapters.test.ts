import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { writeRandomAdapter } from '../support/random-adapter.ts'
import { createTinyModel, runCli, startServe, until } from './start-cli.ts'

/** LoRA adapters over the model in the box, as a user serves them: by a flag, and by a configuration file. */
const nano = path.resolve(import.meta.dirname, '../../models/nano/nano.gguf')
let folder = ''
let adapter = ''

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'tokenmill-lora-'))
  adapter = path.join(folder, 'poet.gguf')
  const shape = { rank: 4, alpha: 8, strength: 0.3, seed: 1 }
  await writeRandomAdapter(adapter, { ...shape, basePath: nano, weights: /attn_(q|v|output)\.weight$/ })
})

afterAll(() => rm(folder, { recursive: true, force: true }))

async function expectBothServed(...flags: readonly string[]): Promise<void> {
  const server = await startServe(...flags)
  try {
    // Models of a configuration file load behind an open port.
    await until(async () => (await fetch(`${server.url}/health`)).ok)
    const listed = (await server.client.models.list()).data
    expect(listed).toEqual(
      expect.arrayContaining([
        expect.objectContaining({ id: 'nano', parent: null }),
        expect.objectContaining({ id: 'poet', parent: 'nano', root: adapter }),
      ]),
    )
    const answer = async (model: string) => {
      const messages = [{ role: 'user' as const, content: 'Tell me about the sea.' }]
      const body = { model, messages, max_tokens: 24, temperature: 0 }
      const completion = await server.client.chat.completions.create(body)
      expect(completion.model).toBe(model)
      return completion.choices[0]?.message.content
    }
    const [base, adapted, again] = [await answer('nano'), await answer('poet'), await answer('nano')]
    expect(adapted).not.toBe(base)
    expect(again).toBe(base)
  } finally {
    await server.stop()
  }
}

describe('tokenmill serve with LoRA adapters', () => {
  it('offers each under its name, beside the base, by --lora', async () => {
    await expectBothServed('--model', nano, '--lora', `poet=${adapter}:1.5`)
  })

  it('offers each under its name, beside the base, by a configuration file', async () => {
    const file = path.join(folder, 'tokenmill.yaml')
    const endpoints = [{ engine: 'embedded', model: nano }]
    const models = [{ name: 'nano', endpoints, adapters: { poet: { file: adapter, scale: 1.5 } } }]
    await writeFile(file, JSON.stringify({ models }))
    await expectBothServed('--config', file)
  })

  it('does not start with an adapter of another model, and says what does not fit', async () => {
    const tiny = await createTinyModel()
    try {
      const { code, output } = await runCli('serve', '--port', '0', '--model', tiny.file, '--lora', `poet=${adapter}`)
      expect(code).toBe(78)
      expect(output).toMatch(/poet\.gguf' is no LoRA adapter for 'tiny\.gguf': .+ the model/)
      const several = ['--model', tiny.file, '--model', nano, '--lora', `poet=${adapter}`, '--lora', `poet=${adapter}`]
      const twice = await runCli('serve', '--port', '0', ...several)
      expect(twice.code).toBe(78)
      expect(twice.output).toContain("Two models are named 'poet'")
      const malformed = await runCli('serve', '--lora', 'poet')
      expect(malformed.output).toContain('must be name=path')
    } finally {
      await tiny.remove()
    }
  })
})
