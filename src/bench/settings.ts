import { availableParallelism } from 'node:os'
import { parseDurationMs, TokenmillError } from '../core/index.ts'
import { levelAt, parseDistribution, stagesDurationMs } from '../workload/index.ts'
import { besideApiUrl } from './endpoint-url.ts'
import { seedOf, toMsText } from './load-shape.ts'
import type { WarmUp } from './metrics/aggregate.ts'
import { parseObjective, parseObjectives, parsePairs, type Objectives } from './metrics/objectives.ts'
import type { BenchOptions } from './options.ts'
import { peakConcurrency, type LoadPlan, type LoadShape, type RequestClass, type Target } from './plan.ts'

const defaultDurationMs = 30_000
/** Users that one thread serves without lag at 20 tokens/s each. */
const usersPerWorker = 512

export function toHeaders(options: BenchOptions): Record<string, string> {
  const headers: Record<string, string> = {}
  if (options.apiKey !== undefined) {
    checkHeader('authorization', options.apiKey)
    headers['authorization'] = `Bearer ${options.apiKey}`
  }
  for (const text of options.header) {
    const split = text.indexOf(':')
    // Not quoted: it may be a key.
    if (split <= 0) throw new TokenmillError('invalid_request', "A --header is not 'name: value'.")
    const [name, value] = [text.slice(0, split).trim().toLowerCase(), text.slice(split + 1).trim()]
    checkHeader(name, value)
    headers[name] = value
  }
  return headers
}

/** Those that say where the request ends, or how long the connection lives: they are the client's own. */
const ownHeaders = new Set(['content-length', 'transfer-encoding', 'connection', 'expect', 'upgrade'])

/** Throws `invalid_request` for what would be another request than the one meant. */
function checkHeader(name: string, value: string): void {
  if (ownHeaders.has(name)) throw new TokenmillError('invalid_request', `Header '${name}' is set by the client itself.`)
  if (!/^[\w!#$%&'*+.^`|~-]+$/.test(name) || !/^[\t\x20-\x7e]*$/.test(value))
    throw new TokenmillError('invalid_request', `Header '${name}' holds characters that a header cannot.`)
}

export function toTarget(options: BenchOptions, url: string, model: string): Target {
  return {
    url,
    model,
    api: options.api,
    stream: options.stream && options.api !== 'embedding',
    headers: toHeaders(options),
    extraBody: parseExtraBody(options.extraBody),
    ignoreEos: options.ignoreEos && options.api !== 'embedding',
    includeUsage: true,
    maxTokensField: options.maxTokensField ?? 'max_tokens',
  }
}

function parseExtraBody(text: string | undefined): Record<string, unknown> {
  if (text === undefined) return {}
  try {
    const body: unknown = JSON.parse(text)
    if (typeof body === 'object' && body !== null && !Array.isArray(body)) return body as Record<string, unknown>
  } catch {
    // Reported below, with what was given.
  }
  throw new TokenmillError('invalid_request', `--extra-body is '${text.slice(0, 60)}'; it must be a JSON object.`)
}

/** Classes with shares that sum to 1: stated ones first, the rest shared by those that state none. */
export function parseClasses(options: BenchOptions): RequestClass[] {
  if (options.class.length === 0) {
    const objectives = options.slo === undefined ? {} : parseObjectives(options.slo)
    return [{ name: 'all', share: 1, promptTokens: options.prompt, outputTokens: options.output, objectives }]
  }
  if (options.slo !== undefined)
    throw new TokenmillError('invalid_request', '--slo and --class exclude each other: give each class its limits.')
  const parsed = options.class.map((text) => parseClass(text, options))
  const stated = parsed.reduce((sum, each) => sum + (each.share ?? 0), 0)
  const open = parsed.filter((each) => each.share === undefined).length
  if (stated > 1 + 1e-9 || (open === 0 && stated < 1 - 1e-6)) {
    throw new TokenmillError('invalid_request', `The shares of the classes sum to ${stated}; they must sum to 1.`)
  }
  const rest = open === 0 ? 0 : (1 - stated) / open
  return parsed.map(({ share = rest, ...each }) => Object.assign(each, { share }))
}

function parseClass(text: string, options: BenchOptions): Omit<RequestClass, 'share'> & { share: number | undefined } {
  const split = text.indexOf(':')
  const name = (split < 0 ? text : text.slice(0, split)).trim()
  const objectives: Objectives = {}
  let [share, promptTokens, outputTokens] = [undefined as number | undefined, options.prompt, options.output]
  for (const [key, value] of parsePairs(split < 0 ? '' : text.slice(split + 1))) {
    const objective = parseObjective(key, value)
    if (objective !== undefined) Object.assign(objectives, objective)
    else if (key === 'share') share = Number(value)
    else if (key === 'prompt') promptTokens = parseDistribution(value).text
    else if (key === 'output') outputTokens = parseDistribution(value).text
    else {
      throw new TokenmillError(
        'invalid_request',
        `Class '${name}' has '${key}'; known are ttft, tpot, stall, e2e, share, prompt, output.`,
      )
    }
  }
  if (share !== undefined && !(share >= 0 && share <= 1))
    throw new TokenmillError('invalid_request', `Class '${name}' has share ${share}; it must be from 0 to 1.`)
  return { name, share, promptTokens, outputTokens, objectives }
}

export function toLoadPlan(
  options: BenchOptions,
  target: Target,
  words: LoadPlan['words'],
  shape: LoadShape,
): LoadPlan {
  const classes = parseClasses(options)
  for (const each of classes) {
    parseDistribution(each.promptTokens)
    parseDistribution(each.outputTokens)
  }
  const stagesMs =
    shape.kind === 'closed'
      ? stagesDurationMs(shape.users)
      : shape.kind === 'open'
        ? stagesDurationMs(shape.rates)
        : Infinity
  const open = options.requests === undefined && stagesMs === Infinity && shape.kind !== 'trace'
  return {
    target,
    seed: seedOf(options),
    textSeed: seedOf(options),
    shape,
    classes,
    words,
    sharedShare: options.sharedPrefix,
    sharedPrefixes: options.sharedPrefixes,
    turns: options.turns,
    turnPauseMs: toMsText(options.turnPause),
    maxRequests: options.requests ?? Infinity,
    durationMs: Math.min(stagesMs, options.duration ?? (open ? defaultDurationMs : Infinity)),
    timeoutMs: options.timeout,
    drainMs: options.drain,
    maxInFlight: options.maxInFlight,
    maxEventBytes: options.maxEventBytes,
    failurePauseMs: options.failurePause,
  }
}

/** What is left out at the start: as asked, else one request a user, or a tenth of an open loop's time. */
export function toWarmUp(options: BenchOptions, plan: LoadPlan): WarmUp {
  const { warmup } = options
  if (warmup !== undefined) {
    const ms = /[a-z]/i.test(warmup) ? parseDurationMs(warmup) : undefined
    if (ms !== undefined) return { kind: 'time', ms }
    if (/^\d+$/.test(warmup)) return { kind: 'requests', count: Number(warmup) }
    throw new TokenmillError('invalid_request', `--warmup is '${warmup}'; write a time (10s) or a number of requests.`)
  }
  if (plan.shape.kind === 'closed') return { kind: 'requests', count: Math.ceil(levelAt(plan.shape.users, 0)) }
  if (plan.shape.kind === 'trace') return { kind: 'time', ms: 0 }
  const rate = levelAt(plan.shape.rates, 0)
  const expectedMs = Math.min(plan.durationMs, rate > 0 ? (plan.maxRequests / rate) * 1000 : Infinity)
  return { kind: 'time', ms: Number.isFinite(expectedMs) ? expectedMs / 10 : 0 }
}

export function toWorkers(options: BenchOptions, plan: LoadPlan): number {
  if (options.workers !== undefined) return options.workers
  const users = plan.shape.kind === 'closed' ? peakConcurrency(plan) : usersPerWorker
  return Math.max(1, Math.min(availableParallelism() - 1, Math.ceil(users / usersPerWorker)))
}

/** Where the server's own metrics are; undefined where they are not to be read, and where nobody says. */
export function metricsUrl(asked: string | undefined, targetUrl: string): string | undefined {
  if (asked === 'none') return undefined
  return asked ?? besideApiUrl(targetUrl, 'metrics')
}
