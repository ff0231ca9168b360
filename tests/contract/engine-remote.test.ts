import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { defaultValues } from '../../src/core/index.ts'
import { createEmbeddedEngine, engineOptions } from '../../src/engine/index.ts'
import type { Engine } from '../../src/inference/index.ts'
import { f32, randomModelShapes, writeRandomModel } from '../../src/model/index.ts'
import { OpenAiEngine, upstreamOptions, type EngineKind } from '../../src/upstream/index.ts'
import { startTestServer, type TestServer } from '../scripted/server.ts'
import { collect, describeEngineContract, never, textOf } from './engine-contract.ts'
import { createRequest } from '../support/generation-request.ts'

const model = 'tiny'
let folder = ''
let embedded: Engine
let server: TestServer
const remote = new Map<EngineKind, OpenAiEngine>()

/** One real engine behind a real server, seen through the adapter as each kind that can be told of it. */
const kinds = ['auto', 'vllm'] as const

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'tokenmill-remote-'))
  const file = path.join(folder, 'tiny.gguf')
  await writeRandomModel(file, { shape: randomModelShapes.tiny, seed: 1, format: f32 })
  embedded = createEmbeddedEngine(
    { path: file, name: model },
    { ...defaultValues(engineOptions), slots: 4, ctxTotal: 4096 },
  )
  server = await startTestServer(embedded)
  for (const kind of kinds) {
    const engine = new OpenAiEngine({
      url: server.url,
      engine: kind,
      model: undefined,
      apiKey: undefined,
      headers: {},
      priority: false,
      tls: undefined,
      limits: defaultValues(upstreamOptions),
    })
    remote.set(kind, engine)
    await engine.ready(never())
  }
})

afterAll(async () => {
  await Promise.all([...remote.values()].map((engine) => engine.close()))
  await server.close(AbortSignal.abort())
  await rm(folder, { recursive: true, force: true })
})

function open(kind: EngineKind): OpenAiEngine {
  const engine = remote.get(kind)
  if (engine === undefined) throw new Error(`No engine of kind ${kind}.`)
  return engine
}

for (const kind of kinds) {
  describeEngineContract(`The HTTP adapter (${kind})`, () => ({ engine: open(kind), model, contextTokens: 1024 }))
}

describe('The HTTP adapter', { timeout: 60_000 }, () => {
  it('finds another Tokenmill, and says of its model what that says', () => {
    expect(open('auto').kind).toBe('tokenmill')
    expect(open('auto').models()).toMatchObject([{ name: model, contextTokens: 1024 }])
  })

  it('generates the text, tokens and usage that the engine behind it does', async () => {
    const request = createRequest({ model, maxTokens: 24, ignoreEos: true })
    const near = await collect(embedded.generate(request, never()))
    const far = await collect(open('auto').generate(request, never()))
    expect(textOf(far)).toBe(textOf(near))
    const usage = near.at(-1)
    expect(far.at(-1)).toMatchObject(
      usage?.type === 'usage'
        ? { usage: { promptTokens: usage.usage.promptTokens, completionTokens: usage.usage.completionTokens } }
        : {},
    )
  })

  it('tokenizes as the engine behind it does', async () => {
    const text = { kind: 'text', text: 'a mill by a stream', addSpecialTokens: true } as const
    const tokens = await open('auto').tokenize(model, text, never())
    expect(tokens).toEqual(await embedded.tokenize?.(model, text, never()))
    expect(await open('auto').detokenize(model, tokens, never())).toBe(
      await embedded.detokenize?.(model, tokens, never()),
    )
  })
})
