/**
 * `npm run bench:applications`: what schemas and adapters cost in the embedded engine. Each row compares two loads that
 * take turns within one run; the ratio is of neighbours. No HTTP: gaps are those between the engine's events.
 */
import { existsSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import path from 'node:path'
import { performance } from 'node:perf_hooks'
import { parseArgs } from 'node:util'
import { defaultValues } from '../../src/core/index.ts'
import { guardRun } from '../../scripts/run-guard.ts'
import { createEmbeddedEngine, engineOptions, type NamedAdapter } from '../../src/engine/index.ts'
import type { Engine, GenerationRequest, JsonSchema } from '../../src/inference/index.ts'
import { q4_0, randomModelShapes, writeRandomModel, type RandomModelShape } from '../../src/model/index.ts'
import { writeRandomAdapter } from '../../tests/support/random-adapter.ts'
import { median, ratiosOf, show, showSpread } from '../measure/statistics.ts'

guardRun(process.env)
const { values } = parseArgs({
  options: {
    only: { type: 'string' },
    repeats: { type: 'string', default: '5' },
    tokens: { type: 'string', default: '48' },
    threads: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
})
if (values.help) {
  console.log('npm run bench:applications -- [--only structured|adapters] [--repeats N] [--tokens N] [--threads N]')
  process.exit(0)
}

const streams = 16
const tokens = Number(values.tokens)
const cache = path.join(import.meta.dirname, '../.cache/models')
await mkdir(cache, { recursive: true })

const schema: JsonSchema = {
  type: 'object',
  properties: {
    items: {
      type: 'array',
      minItems: 50,
      items: {
        type: 'object',
        properties: {
          name: { type: 'string', minLength: 3, maxLength: 40 },
          count: { type: 'integer', minimum: 0, maximum: 99 },
          kind: { enum: ['red', 'green', 'blue'] },
        },
        required: ['name', 'count', 'kind'],
        additionalProperties: false,
      },
    },
  },
  required: ['items'],
  additionalProperties: false,
}

async function modelFile(name: string, shape: RandomModelShape): Promise<string> {
  const file = path.join(cache, `${name}.gguf`)
  if (!existsSync(file)) await writeRandomModel(file, { shape, seed: 1, format: q4_0 })
  return file
}

async function open(file: string, adapters: readonly NamedAdapter[] = []): Promise<Engine> {
  const threads = values.threads === undefined ? undefined : Number(values.threads)
  // Every step is told: what is measured are steps.
  const options = { ...defaultValues(engineOptions), slots: streams, ctx: 512, streamIntervalMs: 0, threads }
  const engine = createEmbeddedEngine({ path: file, name: 'base', adapters }, options)
  await engine.ready(new AbortController().signal)
  return engine
}

interface Stream {
  readonly model: string
  readonly schema?: JsonSchema
  /** Its gaps are those that count. */
  readonly counts: boolean
}

/** Gaps in ms between tokens of the streams that count. */
async function gaps(engine: Engine, load: readonly Stream[], seed: number): Promise<number[]> {
  const found: number[] = []
  await Promise.all(
    load.map(async (stream, at) => {
      let lastMs: number | undefined
      for await (const event of engine.generate(toRequest(stream, at, seed), new AbortController().signal)) {
        if (event.type !== 'text' || event.tokens === 0) continue
        const nowMs = performance.now()
        if (stream.counts && lastMs !== undefined) found.push((nowMs - lastMs) / event.tokens)
        lastMs = nowMs
      }
    }),
  )
  return found
}

function toRequest({ model, schema: wanted }: Stream, at: number, seed: number): GenerationRequest {
  return {
    id: `stream-${at}`,
    model,
    input: { kind: 'tokens', tokens: [1, 300 + at, 301] },
    n: 1,
    maxTokens: tokens,
    stop: [],
    ignoreEos: true,
    sampling: {
      temperature: 1,
      topP: 1,
      topK: 0,
      minP: 0,
      presencePenalty: 0,
      frequencyPenalty: 0,
      repetitionPenalty: 1,
      logitBias: new Map(),
      seed: seed * 100 + at,
    },
    logprobs: undefined,
    promptLogprobs: undefined,
    constraint: wanted === undefined ? undefined : { kind: 'jsonSchema', name: 'bench', schema: wanted, strict: true },
    deadlineMs: undefined,
    affinityKey: undefined,
  }
}

/** Both loads in turn, `repeats` times; medians of gaps and their ratios. */
async function compare(engine: Engine, one: readonly Stream[], other: readonly Stream[]): Promise<string> {
  const medians: [number[], number[]] = [[], []]
  await gaps(engine, other, 0)
  for (let repeat = 1; repeat <= Number(values.repeats); repeat += 1) {
    medians[0].push(median(await gaps(engine, one, repeat)))
    medians[1].push(median(await gaps(engine, other, repeat)))
  }
  const [first, second] = medians
  return `${show(median(first))} → ${show(median(second))} ms, ratio ${showSpread(ratiosOf(second, first))}`
}

async function structured(): Promise<void> {
  const large = { vocabulary: 128_256, tied: true } as const
  const shapes = {
    '57M, 128k vocabulary': { ...randomModelShapes['160m'], ...large, layers: 6, feedForward: 2048 },
    '160M, 128k vocabulary': { ...randomModelShapes['160m'], ...large },
  }
  for (const [name, shape] of Object.entries(shapes)) {
    const engine = await open(await modelFile(name.replaceAll(/\W+/g, '-'), shape))
    const free: Stream = { model: 'base', counts: true }
    const all = Array.from({ length: streams }, (_, at): Stream => (at % 2 === 0 ? free : { ...free, counts: false }))
    const half = all.map((stream): Stream => (stream.counts ? stream : { ...stream, schema }))
    console.log(
      `structured · ${name}: gap p50 of 8 free streams beside 8 free → beside 8 with a schema: ${await compare(engine, all, half)}`,
    )
    await engine.close()
  }
}

async function adapters(): Promise<void> {
  const base = await modelFile('160m-adapters', randomModelShapes['160m'])
  const made: NamedAdapter[] = []
  for (const seed of [1, 2, 3]) {
    const file = path.join(cache, `160m-adapter-${seed}.gguf`)
    const weights = /blk\.\d+\.(attn_|ffn_)[a-z]+\.weight$/
    await writeRandomAdapter(file, { basePath: base, weights, rank: 16, alpha: 16, strength: 0.2, seed })
    made.push({ name: `adapter ${seed}`, path: file, scale: 1 })
  }
  const engine = await open(base, made)
  const of = (count: number, ...models: readonly string[]): Stream[] =>
    Array.from({ length: count }, (_, at) => ({ model: models[at % models.length] ?? 'base', counts: true }))
  const [one, two, three] = made.map(({ name }) => name)
  const say = async (what: string, a: Stream[], b: Stream[]) =>
    console.log(`adapters · 160M, rank 16 on all matrices: ${what}: ${await compare(engine, a, b)}`)
  await say('gap of 8 streams, base → one adapter', of(8, 'base'), of(8, one ?? ''))
  await say('gap of 8 streams of one adapter → 4 of the base and 4 of it', of(8, one ?? ''), of(8, 'base', one ?? ''))
  await say(
    'gap of 8 streams of one adapter → 2 of the base and of three',
    of(8, one ?? ''),
    of(8, 'base', one ?? '', two ?? '', three ?? ''),
  )
  await engine.close()
}

if (values.only === undefined || values.only === 'structured') await structured()
if (values.only === undefined || values.only === 'adapters') await adapters()
