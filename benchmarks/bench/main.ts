/**
 * `npm run bench:bench`: the load generator against the mock's own record of what it wrote, at 64 streams and at
 * 1,000; beside AIPerf and GuideLLM on the same mock; its memory over ten times the requests; and a queue whose
 * mean wait is known. Prints each figure beside what is asked of it.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { parseArgs } from 'node:util'
import { quantileOf } from '../../src/workload/index.ts'
import { runBenchCommand, startMockProcess, type Finished } from './children.ts'
import { provideRival, runAiperf, runGuidellm, type RivalResult } from './rivals.ts'

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

async function readTruth(url: string): Promise<Map<string, Truth>> {
  const text = await (await fetch(url.replace(/\/v1$/, '/mock/records'))).text()
  const records = text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Truth)
  return new Map(records.map((record) => [record.requestId ?? '', record]))
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
    const truth = await readTruth(mock.url)
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
    report(
      'capacity: client CPU per event',
      `${((1000 * (client['cpuMs'] ?? 0)) / Math.max(1, client['reads'] ?? 1)).toFixed(1)} µs`,
      '',
      undefined,
    )
  } finally {
    await mock.close()
  }
}

async function rivals(): Promise<void> {
  const load = { users: 64, requests: values.quick ? 192 : 640, promptTokens: 128, outputTokens: 64 }
  const events = load.requests * load.outputTokens
  const mock = await startMockProcess([
    '--ttft',
    'lognormal:150ms,0.3',
    '--itl',
    'gamma:20ms,0.3',
    '--cache-blocks',
    '0',
  ])
  try {
    const finished = await runBenchCommand([
      mock.url,
      '--concurrency',
      '64',
      '--requests',
      String(load.requests),
      '--prompt',
      '128',
      '--output',
      '64',
      '--warmup',
      '0',
      '--json',
      json,
    ])
    const { summary } = readResult(finished)
    const ours = {
      ttft: summary['serviceTtftMsP50'] ?? 0,
      tpot: summary['tpotMsP50'] ?? 0,
      cpu: (1e6 * finished.cpuS) / events,
    }
    report(
      'ours, whole process',
      `TTFT p50 ${ours.ttft.toFixed(1)} ms, TPOT p50 ${ours.tpot.toFixed(2)} ms, ${ours.cpu.toFixed(0)} µs CPU an event`,
      '',
      undefined,
    )
    for (const [name, run] of [
      ['aiperf', runAiperf],
      ['guidellm', runGuidellm],
    ] as const) {
      const program = await provideRival(name, (line) => console.error(line))
      const result: RivalResult | undefined =
        program === undefined
          ? undefined
          : await run(program, { ...load, url: mock.url }, (line) => console.error(line))
      if (result === undefined) {
        report(name, 'not measured', '', undefined)
        continue
      }
      const cpu = (1e6 * result.cpuS) / events
      report(
        `${result.name} ${result.version}, whole process`,
        `TTFT p50 ${result.ttftMsP50.toFixed(1)} ms, TPOT p50 ${result.tpotMsP50.toFixed(2)} ms, ${cpu.toFixed(0)} µs CPU an event (${(cpu / ours.cpu).toFixed(1)} × ours)`,
        '',
        undefined,
      )
      const near = (a: number, b: number): boolean => Math.abs(a / b - 1) <= 0.03
      report(
        `ours / ${result.name}, TTFT p50`,
        (ours.ttft / result.ttftMsP50).toFixed(3),
        'within 3 %',
        near(ours.ttft, result.ttftMsP50),
      )
      report(
        `ours / ${result.name}, TPOT p50`,
        (ours.tpot / result.tpotMsP50).toFixed(3),
        'within 3 %',
        near(ours.tpot, result.tpotMsP50),
      )
    }
  } finally {
    await mock.close()
  }
}

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
    for (const requests of values.quick ? [500, 5000] : [2000, 20_000]) {
      const finished = await runBenchCommand([
        mock.url,
        '--concurrency',
        '16',
        '--requests',
        String(requests),
        '--output',
        '8',
        '--prompt',
        '16',
        '--json',
        json,
      ])
      peaks.push((readResult(finished).points[0]?.runs[0]?.client['peakRssBytes'] ?? 0) / 2 ** 20)
    }
    const [few = 0, many = 0] = peaks
    report(
      'memory: peak with ten times the requests',
      `${few.toFixed(0)} → ${many.toFixed(0)} MiB`,
      'no growth with requests (collector slack aside)',
      many < 1.5 * few,
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

const parts = { accuracy, capacity, rivals, memory, queue }
for (const [name, run] of Object.entries(parts))
  if (values.only === undefined || values.only.includes(name)) await run()
writeFileSync(values.out, JSON.stringify({ date: new Date().toISOString(), rows }, null, 1))
process.exitCode = rows.some((row) => row.holds === false) ? 1 : 0
