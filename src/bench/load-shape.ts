import { readFileSync } from 'node:fs'
import { createRandom, parseDurationMs, TokenmillError } from '../core/index.ts'
import {
  ditherTrace,
  parseDistribution,
  parseStage,
  parseTrace,
  workloadOptions,
  type ArrivalProcess,
  type Stage,
} from '../workload/index.ts'
import type { BenchOptions } from './options.ts'
import type { LoadPlan, LoadShape } from './plan.ts'

const defaultUsers = 8
const defaultSeed = 1
const staggerPerUserMs = 10
const longestStaggerMs = 5_000

/** Seed of lengths and times. Texts have another in every bench, unless the user gives this one. */
export function seedOf({ seed }: BenchOptions): number {
  return seed ?? defaultSeed
}

/** A single kind of load. Throws `invalid_request` where two are asked for. */
export function parseShape(options: BenchOptions): LoadShape {
  const given = [
    options.concurrency.length > 0 ? '--concurrency' : '',
    options.rate.length > 0 ? '--rate' : '',
    options.trace === undefined ? '' : '--trace',
  ].filter((each) => each !== '')
  if (given.length > 1)
    throw new TokenmillError('invalid_request', `${given.join(' and ')} exclude each other: choose one kind of load.`)
  if (options.trace !== undefined) return readTrace(options, options.trace)
  if (options.rate.length > 0) return openLoop(options, parseStages(options.rate))
  return closedLoop(options, options.concurrency.length > 0 ? parseStages(options.concurrency) : [steady(defaultUsers)])
}

export function steady(level: number): Stage {
  return { from: level, to: level, durationMs: Infinity }
}

export function closedLoop(options: BenchOptions, users: readonly Stage[]): LoadShape {
  const most = Math.max(...users.map((stage) => Math.max(stage.from, stage.to)))
  const staggerMs = options.stagger ?? Math.min(longestStaggerMs, most * staggerPerUserMs)
  return { kind: 'closed', users, thinkMs: toMsText(options.think), staggerMs }
}

export function openLoop(options: BenchOptions, rates: readonly Stage[]): LoadShape {
  const process: ArrivalProcess =
    options.arrivals === 'gamma' || options.burstiness !== 1
      ? { kind: 'gamma', burstiness: options.burstiness }
      : { kind: options.arrivals }
  return { kind: 'open', process, rates, maxConcurrency: options.maxConcurrency ?? Infinity }
}

function parseStages(texts: readonly string[]): Stage[] {
  const stages = texts.map((text) => parseStage(text))
  const endless = stages.slice(0, -1).find((stage) => stage.durationMs === Infinity)
  if (endless !== undefined)
    throw new TokenmillError('invalid_request', `Stage ${endless.from} has no duration though another follows.`)
  return stages
}

function readTrace(options: BenchOptions, file: string): LoadShape {
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    throw new TokenmillError('invalid_request', `Cannot read the trace: ${why}`, {}, error)
  }
  const limits = { maxTraceRequests: workloadOptions.maxTraceRequests.default }
  const trace = parseTrace(text.split('\n'), limits)
  const requests = options.dither ? ditherTrace(trace, createRandom(seedOf(options))) : trace
  return { kind: 'trace', requests, speed: options.speed }
}

/** A distribution in ms as text that `parseDistribution` reads without units, for plans that cross to threads. */
export function toMsText(text: string): string {
  parseDistribution(text, parseDurationMs)
  return text.replace(/(\d+(?:\.\d+)?)(ms|s|m|h)\b/g, (part) => String(parseDurationMs(part)))
}

/** The load in words, with its kind first; `search` is what a search or sweep says of the load instead. */
export function describeLoad(plan: LoadPlan, search?: string): string {
  const { shape } = plan
  const stages = (list: readonly Stage[], unit: string): string =>
    list
      .map(({ from, to, durationMs }) => {
        const level = from === to ? `${from}` : `${from} to ${to}`
        return `${level} ${unit}${durationMs === Infinity ? '' : ` for ${durationMs / 1000} s`}`
      })
      .join(', then ')
  const lengths = plan.classes.map((each) => `${each.promptTokens} in, ${each.outputTokens} out`)
  const tokens = [...new Set(lengths)].join(' | ')
  const extra = [
    plan.turns > 1 ? `${plan.turns} turns` : '',
    plan.sharedShare > 0 ? `${plan.sharedShare * 100} % shared prefix (${plan.sharedPrefixes})` : '',
  ].filter((each) => each !== '')
  const tail = extra.length === 0 ? '' : `, ${extra.join(', ')}`
  if (search !== undefined) return `${search}, ${tokens}${tail}`
  if (shape.kind === 'closed') return `closed loop, ${stages(shape.users, 'users')}, ${tokens}${tail}`
  if (shape.kind === 'trace')
    return `trace of ${shape.requests.length} requests at ${shape.speed}× speed (open loop)${tail}`
  const process = shape.process.kind === 'gamma' ? `gamma ${shape.process.burstiness}` : shape.process.kind
  const cap = shape.maxConcurrency === Infinity ? '' : `, at most ${shape.maxConcurrency} at once`
  return `open loop (${process}), ${stages(shape.rates, 'requests/s')}${cap}, ${tokens}${tail}`
}

/** The highest level of a shape: users, or requests per second; of a trace its requests. */
export function levelOf(shape: LoadShape): number {
  if (shape.kind === 'trace') return shape.requests.length
  const stages = shape.kind === 'closed' ? shape.users : shape.rates
  return Math.max(...stages.map((stage) => Math.max(stage.from, stage.to)))
}

/** A shape's name in tables: `8 users`, `2.5 requests/s`. */
export function labelOf(shape: LoadShape): string {
  if (shape.kind === 'trace') return 'trace'
  const level = levelOf(shape)
  if (shape.kind === 'open') return `${level} requests/s`
  return level === 1 ? '1 user' : `${level} users`
}

/** Names of the two sides of a comparison. Throws `invalid_request` for other than two, or equal ones. */
export function labelsOf({ label }: BenchOptions): readonly [string, string] {
  const [a, b, ...more] = label
  if (a === undefined) return ['A', 'B']
  if (b === undefined || more.length > 0 || a === b)
    throw new TokenmillError(
      'invalid_request',
      `--label is given ${label.length} times; a comparison needs two different names.`,
    )
  return [a, b]
}
