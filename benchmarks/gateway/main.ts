/**
 * `npm run bench:gateway`: what a request and an event cost on their way through Tokenmill, beside a bare Node and undici
 * proxy on the same upstream. CPU is what the kernel counts for the contender's process alone, so neighbours on the same
 * cores disturb it little; times are the client's and disturbed by everything. Contenders take turns within one run.
 *
 *   --feed           what watching 100 endpoints costs, instead
 *   --soak 10m       memory under clients that leave at random, instead
 *   --llama-server   two real llama-servers behind one name, instead
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { parseArgs } from 'node:util'
import { residentBytes } from '../measure/child.ts'
import { parseDurationMs } from '../../src/core/index.ts'
import { guardRun } from '../../scripts/run-guard.ts'
import { createKey, hashKey } from '../../src/server/index.ts'
import { connect, cpuOf, load, median, quantile, startProgram, type Contender } from './harness.ts'
import { measureLoadFeed } from './load-feed.ts'
import { checkLlamaServer } from './real-llama-server.ts'
import { startRivals } from './rivals.ts'
import { soak } from './soak.ts'

guardRun(process.env)
const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '3' },
    requests: { type: 'string', default: '1500' },
    streams: { type: 'string', default: '60' },
    paced: { type: 'string', default: '512' },
    rivals: { type: 'boolean', default: false },
    feed: { type: 'boolean', default: false },
    'llama-server': { type: 'boolean', default: false },
    soak: { type: 'string' },
    clients: { type: 'string', default: '32' },
    out: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
})
if (values.help) {
  console.log(
    'npm run bench:gateway -- [--rounds N] [--requests N] [--streams N] [--paced N] [--rivals] [--feed] [--llama-server] [--soak 10m [--clients N]] [--out results.json]',
  )
  process.exit(0)
}

const folder = mkdtempSync(path.join(tmpdir(), 'tokenmill-gateway-'))
const here = import.meta.dirname
const cli = path.join(here, '../../src/cli/main.ts')
const key = createKey()
const message = (bytes: number) => [{ role: 'user', content: 'x'.repeat(bytes) }]
const body = (fields: object): string => JSON.stringify({ model: 'chat', ...fields })

const measures = new Map<string, Map<string, number[]>>()
function note(measure: string, contender: Contender, value: number): void {
  const row = measures.get(measure) ?? new Map<string, number[]>()
  measures.set(measure, row)
  row.set(contender.name, [...(row.get(contender.name) ?? []), value])
}

/** `nodeFlags` as an operator would set them by NODE_OPTIONS. */
async function startTokenmill(name: string, upstreamUrl: string, nodeFlags: readonly string[]): Promise<Contender> {
  const config = path.join(folder, 'gateway.yaml')
  writeFileSync(
    config,
    `models: [{name: chat, endpoints: [{url: "${upstreamUrl}", engine: vllm, model: org/model}]}]\napiKeys: [{name: bench, hash: "${hashKey(key)}"}]\n`,
  )
  const mill = await startProgram(name, [...nodeFlags, cli, 'serve', '--config', config, '--port', '0'])
  return connect(name, mill, { authorization: `Bearer ${key}` })
}

async function compare(contenders: readonly Contender[]): Promise<void> {
  const requests = Number(values.requests)
  const streams = Number(values.streams)
  const tokens = 256
  const short = body({ messages: message(200), max_tokens: 64 })
  const fast = body({ messages: message(200), max_tokens: tokens, stream: true })
  const paced = body({ messages: message(200), max_tokens: 100, seed: 20, stream: true })
  const brief = body({ messages: message(200), max_tokens: 2, stream: true })
  const long = body({ max_tokens: 64, messages: message(100_000) })
  /** A rival may lack streaming, or a part of it: its rows stay empty then. */
  const streaming = new Set<Contender>()
  for (const contender of contenders) {
    await load(contender, short, requests, 16)
    await load(contender, long, 100, 8)
    try {
      await load(contender, fast, streams, 16)
      streaming.add(contender)
    } catch (error) {
      console.log(`${contender.name} does not stream here: ${error instanceof Error ? error.message : String(error)}`)
    }
  }
  for (let round = 0; round < Number(values.rounds); round += 1) {
    for (const contender of round % 2 === 0 ? contenders : contenders.toReversed()) {
      const cpu = async (measure: string, units: number, work: () => Promise<unknown>): Promise<void> =>
        note(measure, contender, await cpuOf(contender, units, work))
      const few = Math.ceil(requests / 3)
      await cpu('CPU a request, µs', requests, () => load(contender, short, requests, 16))
      await cpu('CPU a request of 100 kB, µs', few, () => load(contender, long, few, 8))
      const quiet = (await load(contender, short, few, 2)).map(({ totalMs }) => totalMs)
      note('latency p50, ms', contender, median(quiet))
      note('latency p99, ms', contender, quantile(quiet, 0.99))
      if (!streaming.has(contender)) continue
      await cpu('CPU an event, µs', streams * tokens, () => load(contender, fast, streams, 16))
      const firsts = (await load(contender, brief, few, 2)).map(({ firstMs }) => firstMs)
      note('first token p50, ms', contender, median(firsts))
      note('first token p99, ms', contender, quantile(firsts, 0.99))
    }
  }
  const count = Number(values.paced)
  for (const contender of contenders) note('resident memory, MB', contender, residentBytes(contender.child.pid) / 1e6)
  for (const contender of streaming) {
    const gaps = (await load(contender, paced, count, count)).map(({ gapMs }) => gapMs)
    const stalled = (gaps.filter((gapMs) => gapMs > 50).length / count) * 100
    note(`${count} paced streams: with a gap over 50 ms, %`, contender, stalled)
    note(`${count} paced streams: longest gap p50, ms`, contender, median(gaps))
  }
  const [base, ...others] = contenders
  if (base === undefined) return
  const heads = others.flatMap(({ name }) => [name, 'ratio'])
  console.log(`| | ${base.name} | ${heads.join(' | ')} |\n|---|---|${heads.map(() => '---|').join('')}`)
  for (const [measure, row] of measures) {
    const own = median(row.get(base.name) ?? [])
    const cells = others.flatMap(({ name }) => {
      const value = median(row.get(name) ?? [])
      return Number.isNaN(value) ? ['–', '–'] : [value.toFixed(2), (value / own).toFixed(2)]
    })
    console.log(`| ${measure} | ${own.toFixed(2)} | ${cells.join(' | ')} |`)
  }
}

try {
  if (values.feed) await measureLoadFeed(folder, 30)
  else if (values['llama-server']) await checkLlamaServer(folder)
  else {
    const upstream = await startProgram('upstream', [path.join(here, 'upstream.ts')])
    const mill = await startTokenmill('tokenmill', upstream.url, [])
    const contenders = [mill]
    try {
      if (values.soak === undefined) {
        const bare = await startProgram('bare proxy', [path.join(here, 'bare-proxy.ts'), upstream.url])
        contenders.unshift(connect('bare proxy', bare, {}))
        const young = ['--max-semi-space-size=8']
        contenders.push(await startTokenmill(`tokenmill ${young.join(' ')}`, upstream.url, young))
        if (values.rivals) contenders.push(...(await startRivals(folder, upstream.url)))
        await compare(contenders)
      } else {
        const durationMs = parseDurationMs(values.soak)
        if (durationMs === undefined) throw new Error(`--soak takes a duration such as 10m, not '${values.soak}'.`)
        await soak(mill, durationMs / 1000, Number(values.clients), body)
      }
    } finally {
      await Promise.all(contenders.map(({ pool }) => pool.destroy()))
      await Promise.all([upstream, ...contenders].map(({ child }) => child.stop()))
    }
  }
} finally {
  rmSync(folder, { recursive: true, force: true })
}
if (values.out !== undefined) {
  const raw = Object.fromEntries([...measures].map(([measure, row]) => [measure, Object.fromEntries(row)]))
  writeFileSync(values.out, JSON.stringify({ node: process.version, raw }, null, 2))
}
