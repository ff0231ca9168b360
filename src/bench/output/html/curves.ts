import type { PlotSeries, Section } from '../../../report/index.ts'
import { hasObjectives } from '../../metrics/objectives.ts'
import { poolClasses } from '../../pooled-runs.ts'
import type { BenchResult } from '../../result.ts'
import { showPercent, showShare } from '../figures.ts'
import { describeMisses, describeObjectives } from '../wording.ts'

export function paretoPlots(results: readonly BenchResult[], names?: readonly string[]): Section[] {
  const series = results.flatMap((result, index): PlotSeries[] => {
    const points = result.points.flatMap(({ label, summary }) => {
      const [x, y] = [summary['tokPerSUserP50'] ?? null, summary['outputTokPerS'] ?? null]
      if (x === null || y === null) return []
      const [low, high] = [summary['outputTokPerSLow'] ?? undefined, summary['outputTokPerSHigh'] ?? undefined]
      return [{ x, y, label, ...(low === undefined || high === undefined ? {} : { low, high }) }]
    })
    const name = names?.[index] ?? result.target.model
    return points.length === 0 ? [] : [{ name, points: points.toSorted((a, b) => a.x - b.x) }]
  })
  if (series.every((each) => each.points.length < 2)) return []
  return [
    {
      kind: 'lines',
      title: 'Throughput against interactivity',
      description:
        'Each point is a load. Further right is faster for each user, further up is more tokens for all of them.',
      x: { label: 'tokens/s per user, p50', min: 0 },
      y: { label: 'output tokens/s', min: 0 },
      series,
    },
  ]
}

export function attainmentSections(result: BenchResult): Section[] {
  const points = result.points.map((point) => ({ ...point, classes: poolClasses(point.runs) }))
  const classes = points[0]?.classes ?? []
  if (!classes.some((each) => hasObjectives(each.objectives))) return []
  const table: Section = {
    kind: 'table',
    title: 'Objectives',
    note: `Attainment is good requests over all offered, with Wilson's 95 % interval: errors, refusals and timeouts are misses. Target ${showPercent(result.attainmentTarget)}.`,
    columns: ['class', 'load', 'objectives', 'attained', 'good', 'missed'].map((label) => ({ label })),
    rows: points.flatMap((point) =>
      point.classes.map((each) => [
        each.name,
        point.label,
        describeObjectives(each.objectives),
        showShare(each.attainment, each.low, each.high),
        `${each.good} of ${each.offered}`,
        describeMisses(each),
      ]),
    ),
  }
  const share = (value: number | null | undefined): number => 100 * (value ?? 0)
  if (result.points.length < 2 || result.kind === 'compare') {
    const bars: Section = {
      kind: 'bars',
      title: 'Attainment by class',
      description: `Share of offered requests that met all their objectives; ${showPercent(result.attainmentTarget)} was asked for.`,
      categories: classes.map((each) => each.name),
      y: { label: 'attainment', unit: '%', min: 0, max: 100 },
      horizontal: true,
      series: points.map((point) => ({
        name: point.label,
        values: point.classes.map((each) => share(each.attainment)),
      })),
    }
    return [table, bars]
  }
  const target = result.attainmentTarget * 100
  const loads = result.points.map((point) => point.load)
  return [
    table,
    {
      kind: 'lines',
      title: 'Attainment against load',
      description:
        'With Wilson’s 95 % intervals. Where a line falls below the target, that class no longer gets what it was promised.',
      x: { label: result.loop === 'open' ? 'requests/s' : 'users' },
      y: { label: 'attainment', unit: '%', min: 0, max: 100 },
      series: [
        ...classes.map((each, index) => ({
          name: each.name,
          points: points.map((point) => {
            const { attainment, low, high } = point.classes[index] ?? each
            return { x: point.load, y: share(attainment), low: share(low), high: share(high), label: point.label }
          }),
        })),
        {
          name: 'target',
          dashed: true,
          points: [Math.min(...loads), Math.max(...loads)].map((x) => ({ x, y: target })),
        },
      ],
    },
  ]
}
