import { bootstrapInterval, LogHistogram, meanOf, wilsonInterval, type HistogramData } from '../workload/index.ts'
import { createRandom } from '../core/index.ts'
import { distributionKeys, type DistributionKey, type RunAggregate } from './metrics/aggregate.ts'
import { hasObjectives, type Objectives } from './metrics/objectives.ts'
import type { MeasuredWindow, Saturation, Summary } from './metrics/summary.ts'
import type { EnergyMeter } from './observe/energy.ts'
import type { Environment } from './observe/environment.ts'
import type { ServerSample } from './observe/server-metrics.ts'
import type { LoadPlan } from './plan.ts'
import type { ClientLimits } from './run.ts'
import type { TokenSource } from './tokens.ts'

/** How the client itself did. */
export interface ClientFigures {
  readonly threads: number
  readonly sendLagMsP50: number | null
  readonly sendLagMsP99: number | null
  readonly receiveLagMsP50: number | null
  readonly receiveLagMsP99: number | null
  readonly loopDelayMsP50: number | null
  readonly loopDelayMsP99: number | null
  /** Batches of bytes read. */
  readonly reads: number
  /** Requests that met a kept connection closed, and were sent once more over a new one. */
  readonly resent: number
  readonly cpuMs: number
  /** CPU time of the load threads over the run's time: 1 is one core. */
  readonly cpuShare: number
  readonly peakRssBytes: number
}

export interface ClassResult {
  readonly name: string
  readonly objectives: Objectives
  readonly offered: number
  readonly completed: number
  readonly good: number
  /** good/offered; null where none was offered. */
  readonly attainment: number | null
  /** Wilson's 95 % interval of it. */
  readonly attainmentLow: number
  readonly attainmentHigh: number
  readonly ttftMsP50: number | null
  readonly ttftMsP99: number | null
  readonly tpotMsP50: number | null
  readonly tpotMsP99: number | null
}

export interface TimelinePoint {
  readonly atMs: number
  readonly offeredRps: number
  readonly completedRps: number
  readonly failed: number
  readonly outputTokPerS: number
  readonly concurrency: number
  readonly ttftMsP50: number | null
  readonly ttftMsP99: number | null
  readonly gapMsP99: number | null
}

/** One run, as it is stored. Plain JSON; times in ms since the start of the run. */
export interface RunResult {
  readonly startedAt: string
  /** Time 0 of the run on the client machine's monotonic clock, ms. */
  readonly originMs: number
  readonly seed: number
  readonly summary: Summary
  readonly window: MeasuredWindow
  readonly outcomes: Readonly<Record<string, number>>
  readonly failures: readonly { readonly message: string; readonly count: number }[]
  readonly finishReasons: Readonly<Record<string, number>>
  readonly classes: readonly ClassResult[]
  readonly saturation: Saturation | null
  readonly client: ClientFigures
  readonly serverSamples: readonly ServerSample[]
  readonly energy: readonly EnergyResult[]
  readonly histograms: Readonly<Partial<Record<DistributionKey, HistogramData>>>
  readonly timeline: { readonly widthMs: number; readonly points: readonly TimelinePoint[] }
  /** What makes the figures worthless, in sentences; empty when the run is valid. */
  readonly problems: readonly string[]
  /** What a reader should know. */
  readonly warnings: readonly string[]
  readonly interrupted: boolean
}

export interface EnergyResult {
  readonly name: string
  readonly basis: EnergyMeter['basis']
  readonly joules: number | null
  readonly problem: string | undefined
}

/** One search or comparison step, or the only measurement. */
export interface BenchPoint {
  /** `8 users`, `2.5 requests/s`, `A`, `B`. */
  readonly label: string
  /** Users, or requests per second: what was varied. */
  readonly load: number
  readonly summary: Summary
  readonly runs: readonly RunResult[]
}

/** Everything that a command measured, and what it takes to repeat it. The file of `--json`. */
export interface BenchResult {
  readonly tool: 'tokenmill bench'
  readonly version: string
  readonly kind: 'run' | 'sweep' | 'goodput' | 'compare'
  readonly command: string
  readonly startedAt: string
  readonly seed: number
  readonly environment: Environment
  readonly target: { readonly url: string; readonly model: string; readonly api: string; readonly streamed: boolean }
  readonly loadText: string
  readonly loop: 'open' | 'closed' | 'trace'
  readonly lengthsFrom: TokenSource
  /** Share of requests of each class that must meet its objectives. */
  readonly attainmentTarget: number
  readonly summary: Summary
  readonly points: readonly BenchPoint[]
  /** Ratios B/A with 95 % intervals, by key of the summary. */
  readonly ratios?: Readonly<Record<string, { readonly ratio: number; readonly low: number; readonly high: number }>>
  /** True where every class with objectives reached the target in every repeat; null where none was stated. */
  readonly sloHeld: boolean | null
  readonly valid: boolean
  readonly notes: readonly string[]
}

export interface RunParts {
  readonly plan: LoadPlan
  readonly startedAt: string
  readonly originMs: number
  readonly aggregate: RunAggregate
  readonly whole: RunAggregate
  readonly summary: Summary
  readonly window: MeasuredWindow
  readonly saturation: Saturation | undefined
  readonly client: ClientFigures
  readonly limits: ClientLimits
  readonly serverSamples: readonly ServerSample[]
  readonly serverProblem: string | undefined
  readonly energy: readonly EnergyResult[]
  readonly interrupted: boolean
  readonly givenUp: string | undefined
}

export function toRunResult(parts: RunParts): RunResult {
  const { aggregate, whole, plan } = parts
  const histograms: Partial<Record<DistributionKey, HistogramData>> = {}
  for (const key of distributionKeys)
    if (aggregate.distributions[key].count > 0) histograms[key] = aggregate.distributions[key].toJSON()
  return {
    startedAt: parts.startedAt,
    originMs: parts.originMs,
    seed: plan.seed,
    summary: parts.summary,
    window: parts.window,
    outcomes: Object.fromEntries(whole.outcomes),
    failures: [...whole.failures].map(([message, count]) => ({ message, count })).toSorted((a, b) => b.count - a.count),
    finishReasons: Object.fromEntries(aggregate.finishReasons),
    classes: plan.classes.map((each, index) => toClassResult(each.name, each.objectives, aggregate, index)),
    saturation: parts.saturation ?? null,
    client: parts.client,
    serverSamples: parts.serverSamples,
    energy: parts.energy,
    histograms,
    timeline: toTimeline(whole),
    problems: findProblems(parts),
    warnings: findWarnings(parts),
    interrupted: parts.interrupted,
  }
}

function toClassResult(name: string, objectives: Objectives, aggregate: RunAggregate, index: number): ClassResult {
  const counts = aggregate.classes[index] ?? { offered: 0, ok: 0, good: 0 }
  const times = aggregate.classTimes[index]
  const interval = wilsonInterval(counts.good, counts.offered)
  const quantile = (histogram: LogHistogram | undefined, q: number, fewest: number): number | null =>
    histogram === undefined || histogram.count < fewest ? null : histogram.quantile(q)
  return {
    name,
    objectives,
    offered: counts.offered,
    completed: counts.ok,
    good: counts.good,
    attainment: counts.offered === 0 ? null : counts.good / counts.offered,
    attainmentLow: interval.low,
    attainmentHigh: interval.high,
    ttftMsP50: quantile(times?.ttftMs, 0.5, 1),
    ttftMsP99: quantile(times?.ttftMs, 0.99, 100),
    tpotMsP50: quantile(times?.tpotMs, 0.5, 1),
    tpotMsP99: quantile(times?.tpotMs, 0.99, 100),
  }
}

/** Points of a time line: enough requests in each for a percentile, few enough to be read. */
const requestsPerPoint = 10
const fewestPoints = 12
const mostPoints = 100

function toTimeline(whole: RunAggregate): RunResult['timeline'] {
  const { slices, widthMs: sliceMs } = whole.slices
  const wanted = Math.min(mostPoints, Math.max(fewestPoints, Math.floor(whole.offered / requestsPerPoint)))
  const perPoint = Math.max(1, Math.ceil(slices.length / wanted))
  const widthMs = sliceMs * perPoint
  const seconds = widthMs / 1000
  const orNull = (value: number): number | null => (Number.isNaN(value) ? null : value)
  const points: TimelinePoint[] = []
  for (let from = 0; from < slices.length; from += perPoint) {
    const part = slices.slice(from, from + perPoint)
    const sum = (key: 'scheduled' | 'completed' | 'failed' | 'outputTokens' | 'runningMs'): number =>
      part.reduce((total, slice) => total + slice[key], 0)
    const [ttftMsP50 = Number.NaN, ttftMsP99 = Number.NaN] = merged(part.map((slice) => slice.ttftMs)).quantiles([
      0.5, 0.99,
    ])
    points.push({
      atMs: from * sliceMs + widthMs / 2,
      offeredRps: sum('scheduled') / seconds,
      completedRps: sum('completed') / seconds,
      failed: sum('failed'),
      outputTokPerS: sum('outputTokens') / seconds,
      concurrency: sum('runningMs') / widthMs,
      ttftMsP50: orNull(ttftMsP50),
      ttftMsP99: orNull(ttftMsP99),
      gapMsP99: orNull(merged(part.map((slice) => slice.gapMs)).quantile(0.99)),
    })
  }
  return { widthMs, points }
}

function merged(histograms: readonly LogHistogram[]): LogHistogram {
  const sum = new LogHistogram(histograms[0]?.growth)
  for (const histogram of histograms) sum.merge(histogram)
  return sum
}

/** Complete answers from which a run states a p99. */
const fewestForP99 = 100

function findProblems({ client, limits, whole, aggregate, givenUp }: RunParts): string[] {
  const problems: string[] = []
  // A run too short for a p99 of its own has none of the client's either: its cold start would decide alone.
  const rank = aggregate.ok < fewestForP99 ? 'P50' : 'P99'
  const lag = (what: string, figure: 'sendLagMs' | 'receiveLagMs' | 'loopDelayMs', maximum: number): void => {
    const value = client[`${figure}${rank}`]
    if (value !== null && value > maximum)
      problems.push(
        `${what} ${rank.toLowerCase()} is ${value.toFixed(1)} ms; above ${maximum} ms the client was measured, not the server.`,
      )
  }
  lag('Send lag', 'sendLagMs', limits.maxSendLagMs)
  lag('Receive lag', 'receiveLagMs', limits.maxReceiveLagMs)
  lag('Event-loop delay', 'loopDelayMs', limits.maxReceiveLagMs)
  const notSent = whole.outcomes.get('notSent') ?? 0
  if (notSent > 0) problems.push(`${notSent} requests were never sent: the client's limit maxInFlight was reached.`)
  if (givenUp !== undefined) problems.push(`Given up: ${givenUp}.`)
  if (aggregate.ok === 0) problems.push('No request succeeded: there is nothing to measure.')
  return problems
}

/** From here on the gaps between chunks no longer tell the pace of tokens. */
const notableTogetherShare = 0.2

function findWarnings(parts: RunParts): string[] {
  const { aggregate, summary, window, saturation, energy } = parts
  const warnings: string[] = []
  const { usage } = aggregate
  if (parts.interrupted) warnings.push('Stopped by the user: requests that still ran are left out of attainment.')
  if (!window.steady)
    warnings.push('Too short for a steady state: the whole run is measured, opening burst and drain included.')
  if (saturation?.oversaturated === true) {
    warnings.push(
      `Over-saturated: TTFT grew by ${percent(saturation.ttftGrowth)} and concurrency by ${percent(saturation.concurrencyGrowth)} of their means along the window; figures depend on how long it ran.`,
    )
  }
  // At each edge of the window up to `concurrency` requests lie half outside: that much is no surprise.
  const residual = summary['littleResidual'] ?? 0
  const edges = (summary['concurrencyMean'] ?? 0) / Math.max(1, summary['completed'] ?? 0)
  if (window.steady && Math.abs(residual) > 0.1 + edges)
    warnings.push(`Little's law is off by ${percent(residual)}: the window was no steady state.`)
  if (aggregate.ok > 0 && (summary['ttftMsCount'] ?? 0) < fewestForP99)
    warnings.push(`Fewer than ${fewestForP99} complete answers in a run: percentiles that need more are left out.`)
  if (parts.client.resent > 0)
    warnings.push(
      `${parts.client.resent} requests met a connection closed that the server had said it keeps, and were sent again over a new one, their clocks running on.`,
    )
  const together = summary['chunksTogetherShare'] ?? 0
  if (together > notableTogetherShare)
    warnings.push(
      `${percent(together)} of chunks came in one read with the one before: the server, or something between, sends several at once. Gaps between chunks are 0 there; ITL shares the gap before among their tokens.`,
    )
  if (usage.fromChunks > 0)
    warnings.push(`${usage.fromChunks} answers came without usage: their tokens are the number of chunks.`)
  if (usage.suspect > 0)
    warnings.push(`${usage.suspect} answers report a number of tokens that cannot be true beside their text or chunks.`)
  const notStreamed = summary['notStreamed'] ?? 0
  if (notStreamed > 0 && parts.plan.target.stream)
    warnings.push(`${notStreamed} answers were not streamed: their TTFT is the whole time, their TPOT unknown.`)
  const asked = summary['outputTokensAskedMean'] ?? 0
  const got = summary['outputTokensMean'] ?? asked
  if (asked > 0 && Math.abs(got / asked - 1) > 0.05)
    warnings.push(`Answers have ${got.toFixed(0)} tokens on average; ${asked.toFixed(0)} were asked for.`)
  const askedIn = summary['inputTokensAskedMean'] ?? 0
  const gotIn = summary['inputTokensMean'] ?? askedIn
  if (askedIn > 0 && Math.abs(gotIn / askedIn - 1) > 0.1)
    warnings.push(
      `Prompts have ${gotIn.toFixed(0)} tokens on average, template included; ${askedIn.toFixed(0)} were asked for.`,
    )
  const cached = summary['cachedShare'] ?? null
  if (
    cached !== null &&
    cached > 0.02 &&
    parts.plan.sharedShare === 0 &&
    parts.plan.shape.kind !== 'trace' &&
    parts.plan.turns === 1
  )
    warnings.push(
      `${percent(cached)} of prompt tokens came from the server's cache although prompts are unique: an earlier run of this seed left them there, or another client; --seed changes them.`,
    )
  const capped = aggregate.distributions.capWaitMs
  if (capped.sum > 0)
    warnings.push('The concurrency cap bound: requests waited at the client, and that wait is in their latency.')
  if (parts.serverProblem !== undefined) warnings.push(`No server metrics: ${parts.serverProblem}.`)
  for (const each of energy)
    if (each.joules === null) warnings.push(`Energy of ${each.name} is unknown: ${each.problem ?? 'too few readings'}.`)
  return warnings
}

function percent(share: number): string {
  return `${(share * 100).toFixed(0)} %`
}

/** Keys that the command line promises with `…Low` and `…High` where a measurement was repeated. */
export function combineRuns(runs: readonly RunResult[], seed: number): Summary {
  const [first] = runs
  if (first === undefined) return {}
  if (runs.length === 1) return first.summary
  const combined: Summary = {}
  for (const key of Object.keys(first.summary)) {
    const values = runs.map((run) => run.summary[key]).filter((value) => value !== null && value !== undefined)
    // Numbers of samples add up over repeats; figures are averaged.
    const isCount = key.endsWith('Count')
    const sum = values.reduce((total, value) => total + value, 0)
    combined[key] = values.length === 0 ? null : isCount ? sum : meanOf(values)
    if (isCount) continue
    if (values.length < fewestRepeats) continue
    const interval = bootstrapInterval(values, createRandom(seed))
    combined[`${key}Low`] = interval.low
    combined[`${key}High`] = interval.high
  }
  return combined
}

/** Repeats from which an interval is given: of two values a bootstrap knows nothing. */
const fewestRepeats = 3

/** All runs' values of one distribution together; undefined where there are none. */
export function mergedHistogram(runs: readonly RunResult[], key: DistributionKey): LogHistogram | undefined {
  let merged: LogHistogram | undefined
  for (const run of runs) {
    const data = run.histograms[key]
    if (data === undefined) continue
    if (merged === undefined) merged = LogHistogram.fromJSON(data)
    else merged.merge(LogHistogram.fromJSON(data))
  }
  return merged
}

/** Problems of all runs, those that differ in their figures alone told once, the first standing for them. */
export function distinctProblems(runs: readonly RunResult[]): string[] {
  const kinds = new Map<string, { readonly text: string; count: number }>()
  for (const text of runs.flatMap((run) => run.problems)) {
    const kind = text.replaceAll(/\d+(\.\d+)?/g, '#')
    const known = kinds.get(kind)
    if (known === undefined) kinds.set(kind, { text, count: 1 })
    else known.count += 1
  }
  return [...kinds.values()].map(({ text, count }) =>
    count === 1 ? text : `${text} (In ${count} of ${runs.length} runs.)`,
  )
}

/** Did every class with objectives reach the target, in every run? null where no class states any. */
export function objectivesHeld(runs: readonly RunResult[], attainmentTarget: number): boolean | null {
  const stated = runs.flatMap((run) => run.classes).filter((each) => hasObjectives(each.objectives))
  if (stated.length === 0) return null
  return stated.every((each) => (each.attainment ?? 0) >= attainmentTarget)
}
