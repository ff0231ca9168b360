import { hasObjectives } from '../metrics/objectives.ts'
import { distinctProblems, objectivesHeld, poolClasses } from '../pooled-runs.ts'
import type { BenchPoint, BenchResult, RunResult } from '../result.ts'
import { showNumber, showPercent } from './figures.ts'
import { describeAttainment, describeObjectives, describeSide } from './wording.ts'

/** One sentence for people and logs; the exit code says the same. */
export function verdictLine(result: BenchResult): string {
  if (!result.valid) {
    const problems = [...result.problems, ...distinctProblems(result.points.flatMap((point) => point.runs))]
    return `INVALID: ${problems.join(' ')}`
  }
  const target = showPercent(result.attainmentTarget)
  if (result.sloHeld === null) return 'Measured; no objectives were stated.'
  if (result.sloHeld) return `Objectives held: at least ${target} of every class.`
  const missed = result.points.find((point) => objectivesHeld(point.runs, result.attainmentTarget) === false)
  const where = missed === undefined ? '' : ` ${missesOf(missed, result.attainmentTarget)}`
  if (result.kind !== 'sweep') return `Objectives missed: a class stayed below ${target}.${where}`
  const held = heldUpTo(result.points, result.attainmentTarget)
  return held === undefined
    ? `Objectives missed at every load: a class stayed below ${target}.${where}`
    : `Objectives held up to ${held.label}: at least ${target} of every class. Missed beyond.${where}`
}

/** The classes that fell short at a load, with the limits that they missed. */
export function missesOf(point: BenchPoint, attainmentTarget: number): string {
  const short = poolClasses(point.runs).filter((each) => (each.attainment ?? 0) < attainmentTarget)
  return short.length === 0 ? '' : `${point.label}: ${short.map(describeAttainment).join('; ')}.`
}

/** The highest load of a sweep up to which every load met its objectives; undefined where the lowest did not. */
export function heldUpTo(points: readonly BenchPoint[], attainmentTarget: number): BenchPoint | undefined {
  const rising = points.toSorted((a, b) => a.load - b.load)
  const missed = rising.findIndex((point) => objectivesHeld(point.runs, attainmentTarget) === false)
  return missed < 0 ? rising.at(-1) : rising[missed - 1]
}

/** What the verdict rests on, by name: limits, endpoint, date, sample with its interval, and the client's own lag. */
export function evidenceOf(result: BenchResult): [name: string, text: string][] {
  const judged = judgedPoint(result)
  const classes = poolClasses(judged?.runs ?? [])
  const stated = classes.filter((each) => hasObjectives(each.objectives))
  const limits = stated.map((each) => `${each.name}: ${describeObjectives(each.objectives)}`).join('; ')
  const sides = result.kind === 'compare' ? result.points.map(describeSide).join('; ') : undefined
  return [
    ['limits', limits === '' ? 'none stated' : `${limits}, for ${showPercent(result.attainmentTarget)} of every class`],
    ['endpoint', sides ?? `${result.target.model} at ${result.target.url}`],
    ['date', `${result.startedAt.slice(0, 16).replace('T', ' ')} UTC`],
    ['sample', sampleText(result)],
    ...(stated.length === 0
      ? []
      : [
          [`attained${loadOf(result, judged)}`, `${stated.map(describeAttainment).join('; ')} (95 %)`] as [
            string,
            string,
          ],
        ]),
    ['client', clientText(result.points.flatMap((point) => point.runs))],
  ]
}

/** The load that stands for the result: of a search the one that held, else the last. */
export function judgedPoint(result: BenchResult): BenchPoint | undefined {
  const best = result.points.find((point) => point.load === result.summary['maxRateRps'])
  return best ?? result.points.at(-1)
}

function loadOf(result: BenchResult, judged: BenchPoint | undefined): string {
  return result.points.length < 2 || judged === undefined ? '' : ` at ${judged.label}`
}

function sampleText({ points }: BenchResult): string {
  const runs = points.flatMap((point) => point.runs)
  const sum = (key: string): number => runs.reduce((total, run) => total + (run.summary[key] ?? 0), 0)
  const seconds = runs.reduce((total, run) => total + (run.window.endMs - run.window.startMs) / 1000, 0)
  const parts = [
    `${showNumber(sum('requests'))} requests in ${showNumber(seconds)} s measured`,
    `${showNumber(sum('requestsTotal'))} in all`,
    ...(points.length > 1 ? [`${points.length} ${points[0]?.endpoint === undefined ? 'loads' : 'endpoints'}`] : []),
    ...(runs.length > points.length ? [`${runs.length} runs`] : []),
  ]
  return parts.join(', ')
}

/** The worst of all runs beside the limits above which they would be invalid. */
function clientText(runs: readonly RunResult[]): string {
  const worst = (key: 'sendLagMs' | 'receiveLagMs', rank: 'P50' | 'P99'): number =>
    runs.reduce((most, run) => Math.max(most, run.client[`${key}${rank}`] ?? 0), 0)
  const lag = (name: string, key: 'sendLagMs' | 'receiveLagMs', limitMs: number | undefined): string => {
    const limit = limitMs === undefined ? '' : ` (limit ${showNumber(limitMs)} ms)`
    return `${name} lag p50 ${showNumber(worst(key, 'P50'))} ms, p99 ${showNumber(worst(key, 'P99'))} ms${limit}`
  }
  const [first] = runs
  return `${lag('send', 'sendLagMs', first?.limits?.maxSendLagMs)}; ${lag('receive', 'receiveLagMs', first?.limits?.maxReceiveLagMs)}`
}
