import { readFileSync } from 'node:fs'
import path from 'node:path'
import packageJson from '../../package.json' with { type: 'json' }
import { z } from 'zod'
import type { BenchOptions, BenchResult } from '../bench/index.ts'
import { benchOptions } from '../bench/options.ts'
import { createMachineClock, defineOptions, TokenmillError } from '../core/index.ts'
import { shownCommandLine } from './bench-command-line.ts'
import { defineCommand, type Io } from './command.ts'
import { sayWritten, writeOutputFile } from './output-file.ts'

const report = defineCommand({
  name: 'report',
  summary: 'Rebuild the report of a result, or lay several over each other',
  arguments: [{ syntax: '<files...>', help: 'Files that --json wrote' }],
  options: defineOptions({
    html: { schema: z.string().optional(), value: '<file>', help: 'Write the offline HTML report here' },
  }),
  examples: ['tokenmill bench report before.json after.json --html compared.html'],
  async run({ html }, positionals, io) {
    const { htmlReport, readBenchResult, textReport } = await import('../bench/index.ts')
    const files = positionals.flat().map(String)
    const results = files.map((file) => readBenchResult(readText(file), file))
    for (const result of results) io.stdout.write(textReport(result))
    const names = files.map((file) => path.basename(file, '.json'))
    if (html !== undefined) writeOutputFile(html, htmlReport(results, names), io)
    return 0
  },
})

export const bench = defineCommand({
  name: 'bench',
  summary: 'Measure an OpenAI-compatible endpoint: latency, throughput, goodput',
  arguments: [{ syntax: '[urls...]', help: 'Base URL ending in /v1; two with --compare' }],
  options: benchOptions,
  subcommands: [report],
  examples: [
    'tokenmill bench http://127.0.0.1:8080/v1 --concurrency 16 --requests 200',
    'tokenmill bench http://host/v1 --model m --rate 4 --duration 2m --slo ttft=300ms,tpot=30ms --json result.json --html report.html',
    'tokenmill bench http://host/v1 --class chat:ttft=300ms,tpot=30ms,share=0.6 --class batch:e2e=60s --find-goodput',
    'tokenmill bench http://host/v1 --sweep concurrency=1,2,4,8,16,32 --html pareto.html',
    'tokenmill bench http://a/v1 http://b/v1 --compare --concurrency 8 --requests 100',
    'tokenmill bench http://host/v1 --trace mooncake.jsonl --speed 2',
  ],
  async run(values, positionals, io) {
    const { createLiveView, exitCodeOf, RawLog, runBench } = await import('../bench/index.ts')
    const clock = createMachineClock()
    const view = createLiveView(io.stderr, () => clock.now())
    const raw = values.raw === undefined ? undefined : new RawLog(values.raw)
    const result = await runBench(values, positionals.flat().map(String), {
      clock,
      stop: io.stop,
      version: packageJson.version,
      command: shownCommandLine(process.argv.slice(2)),
      onNote: (line) => {
        if (!values.quiet) view.note(line)
      },
      onProgress: (label, progress, durationMs, requests) => {
        if (!values.quiet) view.progress(label, progress, durationMs, requests)
      },
      onRun: (label, run) => {
        if (!values.quiet) view.runEnded(label, run)
      },
      ...(raw === undefined ? {} : { onRecord: (label, record) => raw.write(label, record) }),
    })
    const failed = await writeOutputs(values, result, io)
    const rawProblem = await raw?.close()
    if (rawProblem !== undefined) {
      io.stderr.write(`tokenmill: ${rawProblem}\n`)
      return 1
    }
    if (values.raw !== undefined) sayWritten(values.raw, io)
    return failed ? 1 : exitCodeOf(result, io.stop.aborted)
  },
})

/** Writes the report and the files asked for. A file that cannot be written is named, and the others still come. */
async function writeOutputs(values: BenchOptions, result: BenchResult, io: Io): Promise<boolean> {
  const { htmlReport, textReport } = await import('../bench/index.ts')
  let failed = false
  const attempt = (file: string, text: () => string): void => {
    try {
      writeOutputFile(file, text(), io)
    } catch (error) {
      failed = true
      io.stderr.write(`tokenmill: ${error instanceof Error ? error.message : String(error)}\n`)
    }
  }
  const json = (): string => `${JSON.stringify(result, null, 1)}\n`
  if (values.json === '-') io.stdout.write(json())
  else io.stdout.write(textReport(result))
  if (values.json === '-' && !values.quiet) io.stderr.write(textReport(result))
  if (values.json !== undefined && values.json !== '-') attempt(values.json, json)
  if (values.html !== undefined) attempt(values.html, () => htmlReport([result]))
  return failed
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    throw new TokenmillError('invalid_request', `Cannot read ${file}: ${messageOf(error)}`, {}, error)
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
