import { createRandom } from '../core/index.ts'
import { bootstrapInterval, LogHistogram, meanOf, wilsonInterval } from '../workload/index.ts'
import { distributionKeys, type DistributionKey } from './metrics/aggregate.ts'
import { hasObjectives, type MissCause, type Objectives } from './metrics/objectives.ts'
import { fewestSamples, percentiles, type Summary } from './metrics/summary.ts'
import type { BenchPoint, RunResult } from './result.ts'

/**
 * The figures of a load over its repeats: counts of samples add up, other figures are means over the runs, from three on
 * with `…Low` and `…High`. A percentile for which a run has too few answers is taken over all of them together, without an
 * interval, and attainment is that of all requests.
 */
export function combineRuns(runs: readonly RunResult[], seed: number): Summary {
  const [first] = runs
  if (first === undefined) return {}
  if (runs.length === 1) return first.summary
  const combined: Summary = {}
  for (const key of Object.keys(first.summary)) {
    const values = runs.map((run) => run.summary[key]).filter((value) => value !== null && value !== undefined)
    if (key.endsWith('Count')) {
      combined[key] = values.reduce((total, value) => total + value, 0)
      continue
    }
    const pooled = values.length < runs.length ? pooledPercentile(runs, key) : undefined
    combined[key] = pooled ?? (values.length === 0 ? null : meanOf(values))
    if (pooled !== undefined || values.length < fewestRepeats) continue
    const interval = bootstrapInterval(values, createRandom(seed))
    combined[`${key}Low`] = interval.low
    combined[`${key}High`] = interval.high
  }
  return { ...combined, ...pooledAttainment(runs) }
}

const percentileKey = /^(\w+?)(P\d+)$/

/** A percentile over the answers of all runs; undefined for other figures, and where even these are too few. */
function pooledPercentile(runs: readonly RunResult[], key: string): number | undefined {
  const [, name, rank = ''] = percentileKey.exec(key) ?? []
  const distribution = distributionKeys.find((each) => each === name)
  const histogram = distribution === undefined ? undefined : mergedHistogram(runs, distribution)
  if (histogram === undefined || histogram.count < (fewestSamples[rank] ?? Infinity)) return undefined
  return histogram.quantile(percentiles[rank] ?? Number.NaN)
}

function pooledAttainment(runs: readonly RunResult[]): Summary {
  const classes = poolClasses(runs)
  const sum = (key: 'good' | 'offered'): number => classes.reduce((total, each) => total + each[key], 0)
  const offered = sum('offered')
  if (offered === 0) return {}
  const interval = wilsonInterval(sum('good'), offered)
  const shares = classes.map((each) => each.attainment).filter((share) => share !== null)
  return {
    attainment: sum('good') / offered,
    attainmentWilsonLow: interval.low,
    attainmentWilsonHigh: interval.high,
    attainmentWorstClass: Math.min(...shares),
  }
}

/** A class over all repeats of a load. */
export interface PooledClass {
  readonly name: string
  readonly objectives: Objectives
  readonly offered: number
  readonly good: number
  readonly misses: Readonly<Partial<Record<MissCause, number>>>
  /** good/offered with Wilson's 95 % interval; null where none was offered. */
  readonly attainment: number | null
  readonly low: number
  readonly high: number
}

export function poolClasses(runs: readonly RunResult[]): PooledClass[] {
  return (runs[0]?.classes ?? []).map(({ name, objectives }, index) => {
    const all = runs.flatMap((run) => run.classes[index] ?? [])
    const offered = all.reduce((sum, each) => sum + each.offered, 0)
    const good = all.reduce((sum, each) => sum + each.good, 0)
    const misses: Partial<Record<MissCause, number>> = {}
    for (const [cause, count] of all.flatMap((each) => Object.entries(each.misses ?? {}) as [MissCause, number][]))
      misses[cause] = (misses[cause] ?? 0) + count
    const { low, high } = wilsonInterval(good, offered)
    return { name, objectives, offered, good, misses, attainment: offered === 0 ? null : good / offered, low, high }
  })
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

/** Did every class with objectives reach the target, over all repeats of a load? null where no class states any. */
export function objectivesHeld(runs: readonly RunResult[], attainmentTarget: number): boolean | null {
  const stated = poolClasses(runs).filter((each) => hasObjectives(each.objectives))
  if (stated.length === 0) return null
  return stated.every((each) => (each.attainment ?? 0) >= attainmentTarget)
}

/** The same for every load of a result. */
export function allObjectivesHeld(points: readonly BenchPoint[], attainmentTarget: number): boolean | null {
  const held = points.map((point) => objectivesHeld(point.runs, attainmentTarget))
  return held.every((each) => each === null) ? null : held.every((each) => each !== false)
}
