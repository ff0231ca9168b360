import { meanOf, trendOf, wilsonInterval } from '../../workload/index.ts'
import type { RequestClass } from '../plan.ts'
import { distributionKeys, type RunAggregate } from './aggregate.ts'
import { hasObjectives } from './objectives.ts'

/** Flat figures by name; null where there is no value: too few samples, or unknown. */
export type Summary = Record<string, number | null>

/** Samples from which a percentile means something: below, it is null. p99 wants a hundredth of them beyond it. */
export const fewestSamples: Readonly<Record<string, number>> = { P50: 1, P90: 10, P95: 20, P99: 100, P999: 1000 }
export const percentiles: Readonly<Record<string, number>> = { P50: 0.5, P90: 0.9, P95: 0.95, P99: 0.99, P999: 0.999 }

/** The steady part of a run. */
export interface MeasuredWindow {
  readonly startMs: number
  readonly endMs: number
  /** False where too little was left after the warm-up, so that the whole run was taken. */
  readonly steady: boolean
}

/** Requests that a window must hold, and time, to be called one. */
const fewestWindowRequests = 10
const shortestWindowMs = 100

/** From the end of the warm-up to the last scheduled request: the drain is no part of it. */
export function measuredWindow(aggregate: RunAggregate): MeasuredWindow {
  const { windowStartMs, lastScheduledMs, firstScheduledMs, lastEndMs, window } = aggregate
  const steady =
    !aggregate.whole &&
    windowStartMs !== undefined &&
    lastScheduledMs - windowStartMs >= shortestWindowMs &&
    window.offered >= fewestWindowRequests
  if (steady) return { startMs: windowStartMs, endMs: lastScheduledMs, steady }
  const startMs = Number.isFinite(firstScheduledMs) ? firstScheduledMs : 0
  return { startMs, endMs: Math.max(lastEndMs, startMs + 1e-6), steady: false }
}

export interface SummaryInputs {
  readonly aggregate: RunAggregate
  readonly classes: readonly RequestClass[]
  /** Price of a million tokens as the provider bills, or of an hour of the machines; undefined: unknown. */
  readonly price: Price
  /** Joules over the measured window, of all meters; undefined: unknown. */
  readonly joules: number | undefined
}

export interface Price {
  readonly usdPerHour: number | undefined
  readonly usdPerMtokInput: number | undefined
  readonly usdPerMtokOutput: number | undefined
}

/** All figures of one run; docs/bench.md defines each key. */
export function summarise(inputs: SummaryInputs): Summary {
  const { aggregate } = inputs
  const window = measuredWindow(aggregate)
  const seconds = (window.endMs - window.startMs) / 1000
  const summary: Summary = {}
  for (const key of distributionKeys) {
    const histogram = aggregate.distributions[key]
    const values = histogram.quantiles(Object.values(percentiles))
    for (const [index, name] of Object.keys(percentiles).entries()) {
      const enough = histogram.count >= (fewestSamples[name] ?? 1)
      summary[`${key}${name}`] = enough ? finite(values[index]) : null
    }
    summary[`${key}Mean`] = finite(histogram.mean)
    summary[`${key}Max`] = finite(histogram.greatest)
    summary[`${key}Count`] = histogram.count
  }
  addRates(summary, inputs, window, seconds)
  addQuality(summary, inputs, seconds)
  addUsage(summary, inputs)
  addCost(summary, inputs, seconds)
  return summary
}

function addRates(summary: Summary, { aggregate }: SummaryInputs, window: MeasuredWindow, seconds: number): void {
  const within = (key: 'outputTokens' | 'inputTokens' | 'completed' | 'runningMs'): number =>
    aggregate.slices.sumWithin(key, window.startMs, window.endMs)
  summary['windowS'] = seconds
  summary['outputTokPerS'] = within('outputTokens') / seconds
  summary['inputTokPerS'] = within('inputTokens') / seconds
  summary['totalTokPerS'] = (within('outputTokens') + within('inputTokens')) / seconds
  summary['requestsPerS'] = within('completed') / seconds
  summary['offeredRps'] = aggregate.window.offered / seconds
  summary['concurrencyMean'] = within('runningMs') / seconds / 1000
  // Little's law N = X·R over the window; far from 0, the window was no steady state.
  const meanSeconds = (aggregate.distributions.e2eMs.mean - aggregate.distributions.sendLagMs.mean) / 1000
  const expected = (within('completed') / seconds) * meanSeconds
  const concurrency = summary['concurrencyMean']
  summary['littleResidual'] = finite((concurrency - expected) / concurrency)
  const { usage } = aggregate
  summary['tokensPerChunk'] = finite(usage.outputTokens / usage.chunks)
  summary['chunksTogetherShare'] = finite(usage.chunksTogether / usage.chunks)
}

function addQuality(summary: Summary, { aggregate, classes }: SummaryInputs, seconds: number): void {
  const stated = classes.some((each) => hasObjectives(each.objectives))
  const { offered, ok } = aggregate.window
  const good = aggregate.classes.reduce((sum, each) => sum + each.good, 0)
  const goodTokens = aggregate.classes.reduce((sum, each) => sum + each.goodTokens, 0)
  // Without objectives an answer is good when it is complete.
  const attained = finite(good / offered)
  const interval = wilsonInterval(good, offered)
  summary['requests'] = offered
  summary['completed'] = ok
  summary['errors'] = offered - ok
  summary['errorRate'] = finite((offered - ok) / offered)
  summary['attainment'] = attained
  summary['attainmentWilsonLow'] = offered === 0 ? null : interval.low
  summary['attainmentWilsonHigh'] = offered === 0 ? null : interval.high
  const worst = classes.map((each, index) => {
    const counts = aggregate.classes[index]
    return counts === undefined || counts.offered === 0 ? Number.NaN : counts.good / counts.offered
  })
  const measured = worst.filter((share) => !Number.isNaN(share))
  summary['attainmentWorstClass'] = measured.length === 0 ? null : Math.min(...measured)
  // Without objectives every complete answer would be good: there is no goodput then.
  summary['goodputRps'] = stated ? good / seconds : null
  summary['goodputTokPerS'] = stated ? goodTokens / seconds : null
  summary['smoothGoodputTokPerS'] =
    stated && classes.every((each) => each.objectives.ttftMs !== undefined && each.objectives.tpotMs !== undefined)
      ? aggregate.window.onTimeTokens / seconds
      : null
  summary['wastedTokens'] = aggregate.usage.wastedTokens
  summary['refusedTotal'] = aggregate.outcomes.get('refused') ?? 0
  summary['timedOutTotal'] = aggregate.outcomes.get('timedOut') ?? 0
  summary['errorsTotal'] = aggregate.offered - aggregate.ok - (aggregate.outcomes.get('interrupted') ?? 0)
  summary['requestsTotal'] = aggregate.offered
}

function addUsage(summary: Summary, { aggregate }: SummaryInputs): void {
  const { usage, window } = aggregate
  summary['usageReported'] = finite(usage.fromUsage / window.ok)
  summary['usageSuspect'] = usage.suspect
  summary['notStreamed'] = window.notStreamed
  // Unknown is never 0: a server that does not report cached tokens may have cached all of them.
  summary['cachedShare'] =
    usage.cachedKnown > 0 && usage.cachedKnown === usage.promptKnown ? usage.cachedTokens / usage.promptTokens : null
  summary['inputTokensAskedMean'] = finite(usage.askedPromptTokens / window.ok)
  summary['outputTokensAskedMean'] = finite(usage.askedOutputTokens / window.ok)
}

function addCost(summary: Summary, { price, joules }: SummaryInputs, seconds: number): void {
  const outputTokens = (summary['outputTokPerS'] ?? 0) * seconds
  const inputTokens = (summary['inputTokPerS'] ?? 0) * seconds
  const goodputRps = summary['goodputRps'] ?? undefined
  const good = goodputRps === undefined ? undefined : goodputRps * seconds
  let dollars: number | undefined
  if (price.usdPerHour !== undefined) dollars = (price.usdPerHour * seconds) / 3600
  else if (price.usdPerMtokInput !== undefined || price.usdPerMtokOutput !== undefined)
    dollars = ((price.usdPerMtokInput ?? 0) * inputTokens + (price.usdPerMtokOutput ?? 0) * outputTokens) / 1e6
  summary['usdPerMtokOutput'] = dollars === undefined ? null : finite((dollars / outputTokens) * 1e6)
  summary['usdPerMtokTotal'] = dollars === undefined ? null : finite((dollars / (outputTokens + inputTokens)) * 1e6)
  summary['usdPerThousandGood'] = dollars === undefined || good === undefined ? null : finite((dollars / good) * 1000)
  summary['joulesPerOutputTok'] = joules === undefined ? null : finite(joules / outputTokens)
  summary['joulesPerGoodRequest'] = joules === undefined || good === undefined ? null : finite(joules / good)
}

function finite(value: number | undefined): number | null {
  return value === undefined || !Number.isFinite(value) ? null : value
}

/** Did the run drift: do TTFT and concurrency grow along the window beyond chance? */
export interface Saturation {
  /** Growth over the window as part of the mean: 0.5 is half again. */
  readonly ttftGrowth: number
  readonly ttftPValue: number
  readonly concurrencyGrowth: number
  readonly concurrencyPValue: number
  readonly oversaturated: boolean
}

/** A trend is called so beyond chance (p < 1 %) and beyond noise (a quarter of the mean over the window). */
const significant = 0.01
const relevantGrowth = 0.25
/** Slices are joined to at least this many requests each, so that their means are near independent. */
const windowParts = 20

/**
 * Over-saturation: an open loop above the server's capacity piles requests up, so that both TTFT and concurrency
 * rise along the window. Student's t-test on the least-squares slope of each over twenty parts of the window.
 */
export function findSaturation(aggregate: RunAggregate): Saturation | undefined {
  const window = measuredWindow(aggregate)
  const { slices, widthMs } = aggregate.slices
  const first = Math.ceil(window.startMs / widthMs)
  const last = Math.floor(window.endMs / widthMs)
  const size = Math.max(1, Math.ceil((last - first) / windowParts))
  const ttft: { x: number; y: number }[] = []
  const running: { x: number; y: number }[] = []
  for (let from = first; from + size <= last; from += size) {
    const part = slices.slice(from, from + size)
    const x = (from + size / 2) * widthMs
    const count = part.reduce((sum, slice) => sum + slice.ttftMs.count, 0)
    if (count > 0) ttft.push({ x, y: part.reduce((sum, slice) => sum + slice.ttftMs.sum, 0) / count })
    running.push({ x, y: part.reduce((sum, slice) => sum + slice.runningMs, 0) / (size * widthMs) })
  }
  const [ttftTrend, runningTrend] = [trendOf(ttft), trendOf(running)]
  if (ttftTrend === undefined || runningTrend === undefined) return undefined
  const lengthMs = window.endMs - window.startMs
  const growth = (slope: number, points: readonly { y: number }[]): number =>
    (slope * lengthMs) / Math.max(1e-9, meanOf(points.map((point) => point.y)))
  const ttftGrowth = growth(ttftTrend.slope, ttft)
  const concurrencyGrowth = growth(runningTrend.slope, running)
  return {
    ttftGrowth,
    ttftPValue: ttftTrend.pValue,
    concurrencyGrowth,
    concurrencyPValue: runningTrend.pValue,
    oversaturated:
      ttftTrend.pValue < significant &&
      runningTrend.pValue < significant &&
      ttftGrowth > relevantGrowth &&
      concurrencyGrowth > relevantGrowth,
  }
}
