import type { PlotSeries, Section } from '../../../report/index.ts'
import type { RunResult } from '../../result.ts'
import { serverFigures } from '../server-figures.ts'

/** A cache that is empty throughout needs no plot. */
const leastShownKvPercent = 1

export function serverPlots(runs: readonly RunResult[], server: string): Section[] {
  const run = runs.at(-1)
  const samples = run?.serverSamples ?? []
  const line = (name: string, key: 'running' | 'waiting' | 'kvCacheUsage', factor = 1): PlotSeries => ({
    name,
    points: samples.flatMap((sample) => {
      const value = sample[key]
      return value === undefined || sample.atMs < 0 ? [] : [{ x: sample.atMs / 1000, y: value * factor }]
    }),
  })
  const queue = [line('running', 'running'), line('waiting', 'waiting')].filter((each) => each.points.length > 1)
  if (queue.length === 0) return []
  const kv = line('KV cells in use', 'kvCacheUsage', 100)
  const figures = serverFigures(runs)
  const preemptions = figures['preemptions'] === undefined ? '' : ` Preemptions: ${figures['preemptions']}.`
  const x = { label: 'time', unit: 's' }
  return [
    {
      kind: 'lines',
      title: `What ${server} says`,
      description: `Its own counts of running and waiting requests, read once a second.${preemptions}`,
      x,
      y: { label: 'requests', min: 0 },
      series: queue,
    },
    ...(!kv.points.some((point) => point.y >= leastShownKvPercent)
      ? []
      : [
          {
            kind: 'lines' as const,
            title: `KV cache of ${server}`,
            description: 'Share of KV cells in use.',
            x,
            y: { label: 'in use', unit: '%', min: 0, max: 100 },
            series: [kv],
          },
        ]),
  ]
}
