import { LogHistogram, wilsonInterval, type HistogramData } from '../workload/index.ts'
import { distributionKeys, type DistributionKey, type RunAggregate } from './metrics/aggregate.ts'
import type { Objectives } from './metrics/objectives.ts'
import type { ClassResult, RunResult, TimelinePoint } from './result.ts'
import { findProblems, findWarnings } from './run-findings.ts'
import type { RunParts } from './run-parts.ts'

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
    limits: { maxSendLagMs: parts.limits.maxSendLagMs, maxReceiveLagMs: parts.limits.maxReceiveLagMs },
  }
}

function toClassResult(name: string, objectives: Objectives, aggregate: RunAggregate, index: number): ClassResult {
  const counts = aggregate.classes[index] ?? { offered: 0, ok: 0, good: 0, misses: {} }
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
    misses: counts.misses,
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
