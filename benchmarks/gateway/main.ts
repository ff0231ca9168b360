/**
 * `npm run bench:gateway`: what a request and an event cost on their way through Tokenmill, beside a bare Node and undici
 * proxy on the same upstream. CPU is what the kernel counts for the contender's process alone, so neighbours on the same
 * cores disturb it little; times are the client's and disturbed by everything. Contenders take turns within one run.
 */
import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { performance } from 'node:perf_hooks'
import { parseArgs } from 'node:util'
import { Pool } from 'undici'
import { Child, cpuSeconds, residentBytes } from '../measure/child.ts'
import { createKey, hashKey } from '../../src/server/index.ts'

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '3' },
    requests: { type: 'string', default: '1500' },
    streams: { type: 'string', default: '60' },
    paced: { type: 'string', default: '512' },
    out: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
})
if (values.help) {
  console.log('npm run bench:gateway -- [--rounds N] [--requests N] [--streams N] [--paced N] [--out results.json]')
  process.exit(0)
}

const folder = mkdtempSync(path.join(tmpdir(), 'tokenmill-gateway-'))
const here = import.meta.dirname
const key = createKey()

async function start(name: string, args: readonly string[]): Promise<{ child: Child; url: string }> {
  const child = new Child(process.execPath, args)
  for (let waitedMs = 0; waitedMs < 60_000; waitedMs += 50) {
    const url = /http:\/\/127\.0\.0\.1:\d+/.exec(child.output)?.[0]
    if (url !== undefined) return { child, url }
    if (!child.isAlive) break
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  throw new Error(`${name} did not start: ${child.output}`)
}

interface Contender {
  readonly name: string
  readonly child: Child
  readonly pool: Pool
}

const message = (bytes: number) => [{ role: 'user', content: 'x'.repeat(bytes) }]
const body = (fields: object): string => JSON.stringify({ model: 'chat', ...fields })
const headers = { 'content-type': 'application/json', authorization: `Bearer ${key}` }

/** One request; resolves with its times in ms. */
async function ask(pool: Pool, text: string): Promise<{ firstMs: number; totalMs: number; gapMs: number }> {
  const sinceMs = performance.now()
  const answer = await pool.request({ method: 'POST', path: '/v1/chat/completions', headers, body: text })
  if (answer.statusCode !== 200) throw new Error(`${answer.statusCode}: ${await answer.body.text()}`)
  let firstMs = 0
  let lastMs = 0
  let gapMs = 0
  for await (const piece of answer.body as AsyncIterable<Buffer>) {
    if (!piece.includes('token')) continue
    const nowMs = performance.now()
    if (firstMs === 0) firstMs = nowMs - sinceMs
    else gapMs = Math.max(gapMs, nowMs - lastMs)
    lastMs = nowMs
  }
  return { firstMs, totalMs: performance.now() - sinceMs, gapMs }
}

/** `count` requests, `width` at once. */
async function load(pool: Pool, text: string, count: number, width: number) {
  const times: Awaited<ReturnType<typeof ask>>[] = []
  let left = count
  const worker = async (): Promise<void> => {
    while (left > 0) {
      left -= 1
      times.push(await ask(pool, text))
    }
  }
  await Promise.all(Array.from({ length: width }, worker))
  return times
}

const quantile = (list: readonly number[], share: number): number =>
  list.toSorted((a, b) => a - b)[Math.min(list.length - 1, Math.floor(share * list.length))] ?? Number.NaN
const median = (list: readonly number[]): number => quantile(list, 0.5)

const measures = new Map<string, Map<string, number[]>>()
function note(measure: string, contender: string, value: number): void {
  const row = measures.get(measure) ?? new Map<string, number[]>()
  measures.set(measure, row)
  row.set(contender, [...(row.get(contender) ?? []), value])
}

/** CPU that the contender uses for `work`, in µs for each of `units`. */
async function cpuOf(contender: Contender, units: number, work: () => Promise<unknown>): Promise<number> {
  const before = cpuSeconds(contender.child.pid)
  await work()
  return ((cpuSeconds(contender.child.pid) - before) / units) * 1e6
}

const upstream = await start('upstream', [path.join(here, 'upstream.ts')])
const config = path.join(folder, 'gateway.yaml')
writeFileSync(
  config,
  `models: [{name: chat, endpoints: [{url: "${upstream.url}", engine: vllm, model: org/model}]}]\napiKeys: [{name: bench, hash: "${hashKey(key)}"}]\n`,
)
const bare = await start('bare proxy', [path.join(here, 'bare-proxy.ts'), upstream.url])
const cli = path.join(here, '../../src/cli/main.ts')
const mill = await start('tokenmill', [cli, 'serve', '--config', config, '--port', '0'])
const pool = (url: string) => new Pool(url, { connections: 600, pipelining: 1, bodyTimeout: 0, headersTimeout: 0 })
const contenders: readonly Contender[] = [
  { name: 'bare proxy', child: bare.child, pool: pool(bare.url) },
  { name: 'tokenmill', child: mill.child, pool: pool(mill.url) },
]

const requests = Number(values.requests)
const streams = Number(values.streams)
const short = body({ messages: message(200), max_tokens: 64 })
const tokens = 256
const fast = body({ messages: message(200), max_tokens: tokens, stream: true })
const paced = body({ messages: message(200), max_tokens: 100, seed: 20, stream: true })
const long = body({ max_tokens: 64, messages: message(100_000) })

try {
  for (const { pool } of contenders) {
    await load(pool, short, requests, 16)
    await load(pool, fast, streams, 16)
    await load(pool, long, 100, 8)
  }
  for (let round = 0; round < Number(values.rounds); round += 1) {
    for (const contender of round % 2 === 0 ? contenders : contenders.toReversed()) {
      const { name, pool } = contender
      note('CPU a request, µs', name, await cpuOf(contender, requests, () => load(pool, short, requests, 16)))
      note('CPU an event, µs', name, await cpuOf(contender, streams * tokens, () => load(pool, fast, streams, 16)))
      note(
        'CPU a request of 100 kB, µs',
        name,
        await cpuOf(contender, requests / 3, () => load(pool, long, Math.ceil(requests / 3), 8)),
      )
      const quiet = await load(pool, short, Math.ceil(requests / 5), 2)
      note('latency p50, ms', name, median(quiet.map(({ totalMs }) => totalMs)))
      note(
        'latency p99, ms',
        name,
        quantile(
          quiet.map(({ totalMs }) => totalMs),
          0.99,
        ),
      )
      const firsts = await load(
        pool,
        body({ messages: message(200), max_tokens: 2, stream: true }),
        Math.ceil(requests / 5),
        2,
      )
      note('first token p50, ms', name, median(firsts.map(({ firstMs }) => firstMs)))
      note(
        'first token p99, ms',
        name,
        quantile(
          firsts.map(({ firstMs }) => firstMs),
          0.99,
        ),
      )
    }
  }
  for (const { name, pool, child } of contenders) {
    const count = Number(values.paced)
    const times = await load(pool, paced, count, count)
    note(
      `${count} paced streams: with a gap over 50 ms, %`,
      name,
      (times.filter(({ gapMs }) => gapMs > 50).length / count) * 100,
    )
    note(`${count} paced streams: longest gap p50, ms`, name, median(times.map(({ gapMs }) => gapMs)))
    note('resident memory, MB', name, residentBytes(child.pid) / 1e6)
  }
} finally {
  await Promise.all(contenders.map(({ pool }) => pool.destroy()))
  await Promise.all([mill.child.stop(), bare.child.stop(), upstream.child.stop()])
}

console.log('| | bare proxy | tokenmill | ratio |\n|---|---|---|---|')
for (const [measure, row] of measures) {
  const [base = Number.NaN, own = Number.NaN] = contenders.map(({ name }) => median(row.get(name) ?? []))
  console.log(`| ${measure} | ${base.toFixed(2)} | ${own.toFixed(2)} | ${(own / base).toFixed(2)} |`)
}
if (values.out !== undefined) {
  const raw = Object.fromEntries([...measures].map(([measure, row]) => [measure, Object.fromEntries(row)]))
  writeFileSync(values.out, JSON.stringify({ node: process.version, raw }, null, 2))
}
