/**
 * `npm run bench:engine`: the engine beside a bare decode loop, node-llama-cpp and llama-server on this machine.
 * Prints a table and writes JSON with every repeat. Contenders run one at a time and take turns within one run; a
 * ratio is taken between neighbours.
 */
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { availableParallelism, cpus, totalmem } from 'node:os'
import path from 'node:path'
import { parseArgs } from 'node:util'
import { guardRun } from '../scripts/run-guard.ts'
import { q4_0, randomModelShapes, writeRandomModel } from '../src/model/index.ts'
import { buildLlamaServer, cacheFolder } from './contenders/llama-server.ts'
import type { BenchmarkModel, Finding, Run } from './measure/run.ts'
import { arrivals } from './rows/arrivals.ts'
import { footprint } from './rows/footprint.ts'
import { overhead } from './rows/overhead.ts'
import { layouts, padding } from './rows/settings.ts'
import { sharedPrefix } from './rows/shared-prefix.ts'
import { throughput } from './rows/throughput.ts'

const rows: Readonly<Record<string, (run: Run) => Promise<void>>> = {
  throughput,
  sharedPrefix,
  layouts,
  padding,
  arrivals,
  overhead,
  footprint,
}

guardRun(process.env)
const { values } = parseArgs({
  options: {
    only: { type: 'string', multiple: true },
    model: { type: 'string', default: '160m' },
    threads: { type: 'string' },
    repeats: { type: 'string' },
    streams: { type: 'string', multiple: true },
    seed: { type: 'string', default: '1' },
    quick: { type: 'boolean', default: false },
    'without-llama-server': { type: 'boolean', default: false },
    out: { type: 'string', default: path.join(cacheFolder, 'results.json') },
    help: { type: 'boolean', default: false },
  },
})

if (values.help) {
  console.log(`npm run bench:engine -- [--only ${Object.keys(rows).join('|')}]… [--model 160m|1b] [--threads N]
  [--streams N]… [--repeats N] [--seed N] [--quick] [--without-llama-server] [--out results.json]`)
  process.exit(0)
}

const nano = path.resolve(import.meta.dirname, '../models/nano/nano.gguf')
const findings: Finding[] = []
const run: Run = {
  model: await provideModel(values.model),
  nano: existsSync(nano) ? nano : undefined,
  threads: Number(values.threads ?? availableParallelism()),
  repeats: Number(values.repeats ?? (values.quick ? 1 : 3)),
  seed: Number(values.seed),
  isQuick: values.quick,
  streams: values.streams?.map(Number),
  llamaServer: values['without-llama-server'] ? undefined : buildLlamaServer(),
  report: (finding) => findings.push(finding),
  log: (line) => console.error(line),
}

const environment = {
  cpu: cpus()[0]?.model,
  cores: cpus().length,
  memoryBytes: totalmem(),
  platform: `${process.platform} ${process.arch}`,
  node: process.version,
  commit: execFileSync('git', ['describe', '--always', '--dirty'], { encoding: 'utf8' }).trim(),
  model: run.model.name,
  threads: run.threads,
  repeats: run.repeats,
  seed: run.seed,
  command: `npm run bench:engine -- ${process.argv.slice(2).join(' ')}`.trim(),
  date: new Date().toISOString(),
}
mkdirSync(path.dirname(values.out), { recursive: true })
const chosen = values.only ?? Object.keys(rows)
for (const name of chosen) {
  const row = rows[name]
  if (row === undefined) throw new Error(`No row '${name}'; there are ${Object.keys(rows).join(', ')}.`)
  await row(run)
  // After each row, so that a run that is cut short leaves what it has.
  writeFileSync(values.out, `${JSON.stringify({ environment, findings }, null, 2)}\n`)
}

printTable(findings)
console.log(`\nJSON with every repeat: ${path.relative(process.cwd(), values.out)}`)

function printTable(lines: readonly Finding[]): void {
  console.log(`# ${environment.command}`)
  console.log(
    `\n${environment.cores} cores of ${environment.cpu}, Node ${environment.node}, commit ${environment.commit}, ` +
      `random ${environment.model} Q4_0, ${environment.threads} decode threads for every contender, ` +
      `${environment.repeats} repeats, seed ${environment.seed}. Load client and server share the cores. ` +
      `Medians; ratios are tokenmill's over the contender's, with their range.\n`,
  )
  console.log('| row | contender | measured | asked | met |')
  console.log('|---|---|---|---|---|')
  for (const { row, what, value, asked, met } of lines) {
    console.log(`| ${row} | ${what} | ${value} | ${asked} | ${met === undefined ? '' : met ? 'yes' : '**no**'} |`)
  }
}

/** The model of that shape, generated once. */
async function provideModel(name: string): Promise<BenchmarkModel> {
  const shape = Object.entries(randomModelShapes).find(([key]) => key === name)?.[1]
  if (shape === undefined)
    throw new Error(`No shape '${name}'; there are ${Object.keys(randomModelShapes).join(', ')}.`)
  const file = path.join(cacheFolder, 'models', `${name}.gguf`)
  if (!existsSync(file)) {
    mkdirSync(path.dirname(file), { recursive: true })
    console.error(`Writing random weights to ${path.relative(process.cwd(), file)}.`)
    await writeRandomModel(file, { shape, seed: 1, format: q4_0 })
  }
  return { name, path: file, vocabulary: shape.vocabulary }
}
