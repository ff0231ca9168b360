/**
 * `npm run bench:bench`: the load generator against the mock's own record of what it wrote, at 64 streams and at
 * 1,000; beside AIPerf and GuideLLM on the same mock; its memory over ten times the requests; and a queue whose
 * mean wait is known. Prints each figure beside what is asked of it.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { availableParallelism, loadavg } from 'node:os'
import path from 'node:path'
import { parseArgs } from 'node:util'
import { guardRun } from '../../scripts/run-guard.ts'
import { quantileOf } from '../../src/workload/index.ts'
import { runBenchCommand, startMockProcess, type Finished } from './children.ts'
import { provideRival, rivalVersion, runAiperf, runGuidellm, type RivalLoad } from './rivals.ts'

guardRun(process.env)
const { values } = parseArgs({
  options: {
    only: { type: 'string', multiple: true },
    quick: { type: 'boolean', default: false },
    out: { type: 'string', default: path.resolve(import.meta.dirname, '../.cache/load-generators/results.json') },
  },
})
const outFolder = path.dirname(values.out)
mkdirSync(outFolder, { recursive: true })

interface Row {
  readonly what: string
  readonly measured: string
  readonly asked: string
  readonly holds: boolean | undefined
}
const rows: Row[] = []
function report(what: string, measured: string, asked: string, holds: boolean | undefined): void {
  rows.push({ what, measured, asked, holds })
  console.log(
    `${holds === undefined ? ' ' : holds ? '✓' : '✗'} ${what}: ${measured}${asked === '' ? '' : ` (asked: ${asked})`}`,
  )
}

interface Truth {
  readonly requestId?: string
  readonly receivedMs: number
  readonly writesMs: readonly number[]
  readonly writeTokens: readonly number[]
}
interface RawLine {
  readonly session: number
  readonly turn: number
  readonly outcome: string
  readonly scheduledMs: number
  readonly ttftMs: number
  readonly chunksMs: readonly number[]
}
interface ResultFile {
  readonly summary: Readonly<Record<string, number | null>>
  readonly points: readonly {
    readonly runs: readonly {
      readonly client: Readonly<Record<string, number>>
      readonly window: { startMs: number; endMs: number }
    }[]
  }[]
}

const json = path.join(outFolder, 'result.json')
const raw = path.join(outFolder, 'raw.jsonl')

function readResult(finished: Finished): ResultFile {
  if (finished.code === 1) throw new Error(finished.output.slice(-800))
  return JSON.parse(readFileSync(json, 'utf8')) as ResultFile
}

async function readTruth(url: string): Promise<Truth[]> {
  const text = await (await fetch(url.replace(/\/v1$/, '/mock/records'))).text()
  return text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Truth)
}

function gaps(times: readonly number[]): number[] {
  return times.slice(1).map((time, index) => time - (times[index] ?? 0))
}

function readRaw(): RawLine[] {
  return readFileSync(raw, 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as RawLine)
    .filter((line) => line.outcome === 'ok')
}

function compareQuantiles(label: string, seen: readonly number[], truth: readonly number[]): void {
  for (const q of [0.5, 0.99]) {
    const [measured, wrote] = [quantileOf(seen, q), quantileOf(truth, q)]
    const off = Math.abs(measured - wrote)
    const holds = off <= 0.5 || off <= 0.02 * wrote
    report(
      `${label} p${q * 100}`,
      `${measured.toFixed(2)} ms, wrote ${wrote.toFixed(2)} ms, off ${off.toFixed(3)} ms (${((100 * off) / wrote).toFixed(2)} %)`,
      '2 % or 0.5 ms',
      holds,
    )
  }
}

async function accuracy(): Promise<void> {
  const mock = await startMockProcess(['--ttft', 'lognormal:150ms,0.3', '--itl', 'gamma:20ms,0.3'])
  try {
    const requests = values.quick ? 320 : 640
    const finished = await runBenchCommand([
      mock.url,
      '--concurrency',
      '64',
      '--requests',
      String(requests),
      '--output',
      '64',
      '--json',
      json,
      '--raw',
      raw,
    ])
    const { points } = readResult(finished)
    const windowStartMs = points[0]?.runs[0]?.window.startMs ?? 0
    const truth = new Map((await readTruth(mock.url)).map((record) => [record.requestId ?? '', record]))
    const lines = readRaw()
    const pairs = lines.flatMap((line) => {
      const record = truth.get(`bench-1-${line.session}-${line.turn}`)
      return record === undefined ? [] : [{ line, record }]
    })
    report('accuracy: answers compared', `${pairs.length} of ${requests}`, String(requests), pairs.length === requests)
    // The measured window, as every report takes it: the opening burst is the warm-up.
    const steady = pairs.filter(({ line }) => line.scheduledMs >= windowStartMs)
    compareQuantiles(
      '64 streams, TTFT',
      steady.map(({ line }) => line.ttftMs),
      steady.map(({ record }) => (record.writesMs[0] ?? 0) - record.receivedMs),
    )
    compareQuantiles(
      '64 streams, ITL',
      steady.flatMap(({ line }) => gaps(line.chunksMs)),
      steady.flatMap(({ record }) => gaps(record.writesMs)),
    )
  } finally {
    await mock.close()
  }
}

async function capacity(): Promise<void> {
  const mock = await startMockProcess([
    '--ttft',
    'lognormal:200ms,0.3',
    '--itl',
    'normal:50ms,10ms',
    '--max-records',
    '0',
  ])
  try {
    const seconds = values.quick ? 15 : 40
    const finished = await runBenchCommand([
      mock.url,
      '--concurrency',
      '1000',
      '--duration',
      `${seconds}s`,
      '--output',
      '400',
      '--prompt',
      '32',
      '--warmup',
      '6s',
      '--drain',
      '1s',
      '--workers',
      '1',
      '--json',
      json,
    ])
    const { summary, points } = readResult(finished)
    const client = points[0]?.runs[0]?.client ?? {}
    const rate = summary['outputTokPerS'] ?? 0
    report('capacity: events/s at 1,000 streams', rate.toFixed(0), 'about 20,000 (1,000 × 1/50 ms)', rate > 19_000)
    for (const key of ['sendLagMsP99', 'receiveLagMsP99', 'loopDelayMsP99'])
      report(`capacity: ${key}`, `${(client[key] ?? 0).toFixed(2)} ms`, 'under 5 ms', (client[key] ?? Infinity) < 5)
    const reads = Math.max(1, client['reads'] ?? 1)
    const mockCpu = mock.cpuS()
    report(
      'capacity: CPU per event',
      `load thread ${((1000 * (client['cpuMs'] ?? 0)) / reads).toFixed(1)} µs, whole client ${((1e6 * finished.cpuS) / reads).toFixed(1)} µs, mock ${mockCpu === undefined ? 'unknown' : `${((1e6 * mockCpu) / reads).toFixed(1)} µs`}`,
      '',
      undefined,
    )
  } finally {
    await mock.close()
  }
}

interface Compared {
  readonly ttftMs: number
  readonly tpotMs: number
  readonly cpuS: number
}

/** Ours with the load that the rivals get. */
async function runOurs(load: RivalLoad): Promise<Compared> {
  const args = ['--concurrency', String(load.users), '--requests', String(load.requests), '--warmup', '0']
  const lengths = ['--prompt', String(load.promptTokens), '--output', String(load.outputTokens)]
  const finished = await runBenchCommand([load.url, ...args, ...lengths, '--json', json])
  const { summary } = readResult(finished)
  // Rivals count from the actual send.
  return { ttftMs: summary['serviceTtftMsP50'] ?? 0, tpotMs: summary['tpotMsP50'] ?? 0, cpuS: finished.cpuS }
}

async function runRival(name: 'aiperf' | 'guidellm', load: RivalLoad): Promise<Compared | undefined> {
  const log = (line: string): void => console.error(line)
  const program = await provideRival(name, log)
  if (program === undefined) return undefined
  const result = await (name === 'aiperf' ? runAiperf : runGuidellm)(program, load, log)
  return result === undefined ? undefined : { ttftMs: result.ttftMsP50, tpotMs: result.tpotMsP50, cpuS: result.cpuS }
}

/**
 * The same load by each tool, each time on a mock that has just started: its n-th request gets the same times. Two
 * sizes tell what an event costs apart from what the start of a process costs.
 */
async function rivals(): Promise<void> {
  const few = values.quick ? 64 : 128
  const many = 5 * few
  // As many users as the rivals serve on two cores without being late themselves.
  const base = { users: 16, promptTokens: 128, outputTokens: 64 }
  const times = ['--ttft', 'lognormal:150ms,0.3', '--itl', 'gamma:20ms,0.3', '--cache-blocks', '0']
  let ours: (Compared & { readonly eventUs: number }) | undefined
  for (const name of ['ours', 'aiperf', 'guidellm'] as const) {
    const results: (Compared | undefined)[] = []
    let wrote = ''
    for (const requests of [few, many]) {
      const mock = await startMockProcess(times)
      const load = { ...base, requests, url: mock.url }
      try {
        results.push(await (name === 'ours' ? runOurs(load) : runRival(name, load)))
        const truth = (await readTruth(mock.url)).filter((each) => each.writesMs.length > 1)
        const ttft = truth.map((each) => (each.writesMs[0] ?? 0) - each.receivedMs)
        const tpot = truth.map(
          (each) => ((each.writesMs.at(-1) ?? 0) - (each.writesMs[0] ?? 0)) / (each.writesMs.length - 1),
        )
        wrote = `; the mock wrote ${quantileOf(ttft, 0.5).toFixed(1)} and ${quantileOf(tpot, 0.5).toFixed(2)} ms`
      } finally {
        await mock.close()
      }
    }
    const [small, large] = results
    if (small === undefined || large === undefined) {
      report(name, 'not measured', '', undefined)
      continue
    }
    const eventUs = (1e6 * (large.cpuS - small.cpuS)) / ((many - few) * base.outputTokens)
    const wholeUs = (1e6 * large.cpuS) / (many * base.outputTokens)
    const title = name === 'ours' ? 'ours' : `${name} ${rivalVersion(name)}`
    const beside =
      ours === undefined
        ? ''
        : ` (${(eventUs / ours.eventUs).toFixed(1)} and ${(large.cpuS / ours.cpuS).toFixed(1)} × ours)`
    report(
      `${title}: CPU an event`,
      `${eventUs.toFixed(1)} µs, ${wholeUs.toFixed(0)} µs with the start of the process over ${many * base.outputTokens} events${beside}`,
      '',
      undefined,
    )
    report(
      `${title}: p50`,
      `TTFT ${large.ttftMs.toFixed(1)} ms, TPOT ${large.tpotMs.toFixed(2)} ms${wrote}`,
      '',
      undefined,
    )
    if (name === 'ours') ours = { ...large, eventUs }
    else if (ours !== undefined) {
      for (const key of ['ttftMs', 'tpotMs'] as const) {
        const ratio = ours[key] / large[key]
        report(`ours / ${name}, ${key} p50`, ratio.toFixed(3), 'within 3 %', Math.abs(ratio - 1) <= 0.03)
      }
    }
  }
}

/** A collector that has little room does not put off its work: what the process holds is then what it needs. */
const smallHeap = ['--max-old-space-size=64', '--max-semi-space-size=4']

async function memory(): Promise<void> {
  const mock = await startMockProcess([
    '--ttft',
    'fixed:2ms',
    '--itl',
    'fixed:1ms',
    '--max-records',
    '0',
    '--cache-blocks',
    '0',
  ])
  try {
    const peaks: number[] = []
    for (const requests of values.quick ? [1000, 10_000] : [10_000, 100_000]) {
      const load = ['--concurrency', '16', '--requests', String(requests), '--output', '8', '--prompt', '16']
      const finished = await runBenchCommand([mock.url, ...load, '--json', json], smallHeap)
      peaks.push((readResult(finished).points[0]?.runs[0]?.client['peakRssBytes'] ?? 0) / 2 ** 20)
    }
    const [few = 0, many = 0] = peaks
    report(
      `memory: peak with ${values.quick ? '1,000 and 10,000' : '10,000 and 100,000'} requests`,
      `${few.toFixed(0)} and ${many.toFixed(0)} MiB`,
      'no growth with requests: within a fifth',
      many < 1.2 * few,
    )
  } finally {
    await mock.close()
  }
}

/** One server, fixed service time, Poisson arrivals: mean wait ρ/(2(1 − ρ)) service times (Pollaczek–Khinchine). */
async function queue(): Promise<void> {
  const serviceMs = 20
  const mock = await startMockProcess(['--ttft', `fixed:${serviceMs}ms`, '--max-running', '1', '--max-records', '0'])
  try {
    for (const load of values.quick ? [0.5] : [0.5, 0.8]) {
      const rate = (1000 * load) / serviceMs
      const finished = await runBenchCommand([
        mock.url,
        '--rate',
        String(rate),
        '--duration',
        values.quick ? '15s' : '60s',
        '--output',
        '1',
        '--prompt',
        '8',
        '--json',
        json,
      ])
      const { summary } = readResult(finished)
      const waited = ((summary['ttftMsMean'] ?? 0) - serviceMs) / serviceMs
      const expected = load / (2 * (1 - load))
      report(
        `M/D/1 at ρ = ${load}: mean wait`,
        `${waited.toFixed(2)} service times, theory ${expected.toFixed(2)}`,
        '',
        undefined,
      )
    }
  } finally {
    await mock.close()
  }
}

console.log(`${availableParallelism()} cores, load average ${loadavg()[0]?.toFixed(2)} at the start`)
const parts = { accuracy, capacity, rivals, memory, queue }
for (const [name, run] of Object.entries(parts))
  if (values.only === undefined || values.only.includes(name)) await run()
writeFileSync(values.out, JSON.stringify({ date: new Date().toISOString(), rows }, null, 1))
process.exitCode = rows.some((row) => row.holds === false) ? 1 : 0
