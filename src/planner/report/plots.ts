import type { PlotSeries, Section } from '../../report/index.ts'
import type { Demand, Recommendation } from '../search/choice.ts'
import { describePrediction } from '../timing/describe.ts'
import type { Prediction } from '../timing/predict.ts'

/**
 * For each GPU and precision the points that no other point of theirs beats in both directions: against speed, and
 * against the time to the first token. Objectives are dashed lines, the recommended point is marked.
 */
export function paretoSections({ choices, rejected }: Recommendation, { ttftMs, tpotMs }: Demand): readonly Section[] {
  const points = [...choices.flatMap((choice) => choice.sweep), ...rejected.flatMap((one) => one.sweep)]
  const groups = [
    ...Map.groupBy(points, ({ facts }) => `${facts.deployment.gpu.id} ${facts.deployment.precision.format.id}`),
  ].sort(([a], [b]) => a.localeCompare(b))
  const chosen = choices[0]?.prediction
  const rates = points.map(({ tokensPerSecondPerGpu }) => tokensPerSecondPerGpu.value)
  const series = (
    speed: (point: Prediction) => number,
    x: (point: Prediction) => number,
    objective: number | undefined,
    name: string,
  ): readonly PlotSeries[] => [
    ...groups.map(([group, own]): PlotSeries => ({
      name: group,
      points: paretoFront(own, speed).map((point) => toPoint(point, x(point))),
    })),
    ...(chosen === undefined
      ? []
      : [{ name: 'recommended', style: 'points' as const, points: [toPoint(chosen, x(chosen))] }]),
    ...(objective === undefined || rates.length === 0
      ? []
      : [
          {
            name,
            dashed: true,
            points: [Math.min(...rates), Math.max(...rates)].map((y) => ({ x: objective, y, label: name })),
          },
        ]),
  ]
  const perUser = (point: Prediction) => point.tokensPerSecondPerUser.value
  return [
    {
      kind: 'lines',
      title: 'Throughput against speed',
      description:
        'The best configurations of each GPU and precision, over engines, parallelism and load. Up and right is better; what lies left of the objective is too slow.',
      x: { label: 'tokens/s per user', scale: 'log' },
      y: { label: 'output tokens/s per GPU', scale: 'log' },
      series: series(
        perUser,
        perUser,
        tpotMs === undefined ? undefined : 1000 / tpotMs,
        `objective: TPOT ≤ ${tpotMs} ms`,
      ),
    },
    {
      kind: 'lines',
      title: 'Throughput against the first token',
      description:
        'The same over the time to the first token. Up and left is better; what lies right of the objective is too late.',
      x: { label: 'TTFT', unit: 'ms', scale: 'log' },
      y: { label: 'output tokens/s per GPU', scale: 'log' },
      series: series(
        (point) => 1 / point.ttftMs.value,
        (point) => point.ttftMs.value,
        ttftMs,
        `objective: TTFT ≤ ${ttftMs} ms`,
      ),
    },
  ]
}

/** Points sorted by speed, each with more throughput than every faster one. */
export function paretoFront(
  points: readonly Prediction[],
  speed: (point: Prediction) => number = ({ tokensPerSecondPerUser }) => tokensPerSecondPerUser.value,
): readonly Prediction[] {
  const fastestFirst = points.toSorted((a, b) => speed(b) - speed(a))
  let most = 0
  const front = fastestFirst.filter(({ tokensPerSecondPerGpu }) => {
    if (tokensPerSecondPerGpu.value <= most) return false
    most = tokensPerSecondPerGpu.value
    return true
  })
  return front.toReversed()
}

function toPoint(point: Prediction, x: number) {
  const { value, low, high } = point.tokensPerSecondPerGpu
  return {
    x,
    y: value,
    low,
    high,
    label: `${describePrediction(point)}, ${point.concurrency} at once${point.extrapolated.length > 0 ? ' (extrapolated)' : ''}`,
  }
}
