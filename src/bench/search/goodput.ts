import { TokenmillError } from '../../core/index.ts'
import { hasObjectives } from '../metrics/objectives.ts'
import type { BenchOptions } from '../options.ts'
import type { PointRunner } from '../point-runner.ts'
import type { Probe } from '../probe.ts'
import { combineRuns, objectivesHeld } from '../pooled-runs.ts'
import type { BenchPoint } from '../result.ts'
import { openLoop, seedOf, steady } from '../load-shape.ts'
import { parseClasses } from '../settings.ts'
import { judgePoint } from './judge-point.ts'
import { searchRate } from './rate-search.ts'
import type { PlanSearch } from './search.ts'

/** Most points: doubling over 20 binary orders, or bisecting to half a percent. */
const maxPoints = 24
/** A point whose verdict is not certain is measured again up to so many times. */
const maxExtensions = 2

/** The highest rate of one endpoint at which every class keeps its objectives. */
export const planGoodput: PlanSearch = (options) => {
  if (!parseClasses(options).every((each) => hasObjectives(each.objectives)))
    throw new TokenmillError(
      'invalid_request',
      '--find-goodput needs objectives: --slo ttft=300ms,tpot=30ms or --class.',
    )
  const { startRate, precision, attainment } = options
  return {
    kind: 'goodput',
    loop: 'open',
    shape: openLoop(options, [steady(startRate)]),
    loadText: `open loop (${options.arrivals}), searching the highest rate within objectives`,
    async measure({ first }, runner) {
      const points: BenchPoint[] = []
      await searchRate({ startRate, precision, maxPoints }, async (rate) => {
        const point = await measureRate(options, first, runner, rate)
        if (point === undefined) return false
        points.push(point)
        const verdict = judgePoint(point, attainment)
        runner.note(
          `${point.label}: ${verdict.holds ? 'holds' : 'fails'}${verdict.certain ? '' : ' (not certain)'}: ${verdict.reason}`,
        )
        return verdict.holds
      })
      return points.toSorted((a, b) => a.load - b.load)
    },
    conclude(points) {
      const best = points.findLast((point) => judgePoint(point, attainment).holds)
      const judged = best?.runs ?? []
      return {
        summary: { ...best?.summary, maxRateRps: best?.load ?? null },
        judged,
        sloHeld: best === undefined ? false : objectivesHeld(judged, attainment),
      }
    },
  }
}

/** One rate, measured until its verdict is certain or the extensions are used up; undefined where the user stopped. */
async function measureRate(
  options: BenchOptions,
  endpoint: Probe,
  runner: PointRunner,
  rate: number,
): Promise<BenchPoint | undefined> {
  const label = `${Number(rate.toPrecision(4))} requests/s`
  const offer = { endpoint, shape: openLoop(options, [steady(rate)]), label, load: rate, endHopeless: true }
  let point: BenchPoint | undefined
  for (let round = 0; round <= maxExtensions; round += 1) {
    if (runner.stopped) return undefined
    const more = await runner.measurePoint({ ...offer, firstRepeat: round })
    const runs = point === undefined ? more.runs : [...point.runs, ...more.runs]
    point = { label, load: rate, summary: combineRuns(runs, seedOf(options)), runs }
    if (judgePoint(point, options.attainment).certain) break
  }
  return point
}
