import type { Mark, PlotSeries, Section } from '../../../report/index.ts'
import type { DistributionKey } from '../../metrics/aggregate.ts'
import type { Objectives } from '../../metrics/objectives.ts'
import { mergedHistogram } from '../../pooled-runs.ts'
import type { RunResult } from '../../result.ts'
import { describeLimit } from '../wording.ts'

/** Points of a cumulative curve: enough for a smooth line, few enough for a small page. */
const curvePoints = 160
/** Left end of a logarithmic axis: below it a time is no time to anybody. */
const leastShownMs = 0.1

/** A line for each group, with the limits of the first group's classes drawn in. */
export function distributionPlots(
  groups: readonly { readonly name: string; readonly runs: readonly RunResult[] }[],
): Section[] {
  const classes = groups[0]?.runs[0]?.classes ?? []
  const marksOf = (key: keyof Objectives): Mark[] => {
    const limits = classes.flatMap(({ name, objectives }) => {
      const ms = objectives[key]
      return ms === undefined ? [] : [{ name, ms }]
    })
    return [...new Set(limits.map(({ ms }) => ms))].map((ms) => {
      const names = limits.filter((limit) => limit.ms === ms).map(({ name }) => name)
      return { x: ms, label: `${classes.length > 1 ? `${names.join(', ')}: ` : ''}${describeLimit(key, ms)}` }
    })
  }
  const plots: [DistributionKey, string, string][] = [
    ['ttftMs', 'Time to first token', 'Share of answers whose first token came within the time.'],
    ['tpotMs', 'Time per output token', 'Share of answers whose mean pace was at most the time per token.'],
    [
      'iclMs',
      'Gaps between chunks',
      `Share of gaps up to the time: a long tail is stutter that means hide. Chunks that came together stand at ${leastShownMs} ms.`,
    ],
    ['stallMs', 'Longest stall', 'Share of answers whose longest gap was at most the time.'],
  ]
  return plots.flatMap(([key, title, description]): Section[] => {
    const series = groups.flatMap(({ name, runs }): PlotSeries[] => {
      const histogram = mergedHistogram(runs, key)
      if (histogram === undefined || histogram.count < 2) return []
      const all = histogram.cumulative()
      const step = Math.max(1, Math.floor(all.length / curvePoints))
      const kept = all.filter((point, index) => index % step === 0 || point.share > 0.98)
      return [
        {
          name,
          style: 'steps',
          points: kept.map(({ value, share }) => ({ x: Math.max(value, leastShownMs), y: share * 100 })),
        },
      ]
    })
    if (series.length === 0) return []
    const x = { label: title, unit: 'ms', scale: 'log' as const }
    const y = { label: 'share', unit: '%', min: 0, max: 100 }
    const marks = key === 'ttftMs' || key === 'tpotMs' || key === 'stallMs' ? marksOf(key) : []
    return [{ kind: 'lines', title, description, x, y, series, marks }]
  })
}
