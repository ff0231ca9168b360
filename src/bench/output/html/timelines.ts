import type { PlotSeries, Section, Shade } from '../../../report/index.ts'
import type { RunResult, TimelinePoint } from '../../result.ts'
import { showNumber } from '../figures.ts'

/** The run along time; what the figures leave out is shaded. */
export function timelines(runs: readonly RunResult[]): Section[] {
  const run = runs.at(-1)
  if (run === undefined) return []
  const { points } = run.timeline
  const line = (name: string, value: (point: TimelinePoint) => number | null): PlotSeries => ({
    name,
    points: points.flatMap((point) => {
      const y = value(point)
      return y === null ? [] : [{ x: point.atMs / 1000, y }]
    }),
  })
  const x = { label: 'time', unit: 's' }
  const seconds = (ms: number): string => showNumber(ms / 1000)
  const end = Math.max(...points.map((point) => point.atMs)) + run.timeline.widthMs / 2
  const shades: Shade[] = run.window.steady
    ? [
        { from: 0, to: run.window.startMs / 1000, label: 'warm-up' },
        { from: run.window.endMs / 1000, to: end / 1000, label: 'drain' },
      ].filter(({ from, to }) => to > from)
    : []
  const window = `The measured window is ${seconds(run.window.startMs)} s to ${seconds(run.window.endMs)} s.`
  return [
    {
      kind: 'lines',
      title: 'Latency along the run',
      description: `TTFT of the requests scheduled at a time. A steady state is flat. ${window}`,
      x,
      shades,
      y: { label: 'TTFT', unit: 'ms', min: 0 },
      series: [line('p50', (point) => point.ttftMsP50), line('p99', (point) => point.ttftMsP99)],
    },
    {
      kind: 'lines',
      title: 'Throughput along the run',
      description: `Output tokens by the time at which they arrived. ${window}`,
      x,
      shades,
      y: { label: 'output tokens/s', min: 0 },
      series: [line('output tokens/s', (point) => point.outputTokPerS)],
    },
    {
      kind: 'lines',
      title: 'Load along the run',
      description: `Requests that ran at once, and requests that failed. Rising concurrency at a constant rate means over-saturation. ${window}`,
      x,
      shades,
      y: { label: 'requests', min: 0 },
      series: [line('concurrency', (point) => point.concurrency), line('failed', (point) => point.failed)],
    },
  ]
}
