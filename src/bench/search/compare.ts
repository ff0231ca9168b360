import { TokenmillError } from '../../core/index.ts'
import { labelsOf, levelOf, parseShape, seedOf } from '../load-shape.ts'
import type { BenchOptions } from '../options.ts'
import { combineRuns } from '../pooled-runs.ts'
import type { BenchPoint, RunResult } from '../result.ts'
import { shownUrl } from '../secrets.ts'
import { compareRuns } from './ratios.ts'
import { concludeFromAll, type PlanSearch } from './search.ts'

/** Of fewer pairs the interval of a ratio says nothing. */
const fewestPairs = 3
/** Shares of cached prompt tokens that differ by more are different work. */
const equalCachedShare = 0.02

/** Two endpoints under the same load, interleaved: A B, B A, A B, in pairs of equal seeds. */
export const planCompare: PlanSearch = (options) => {
  const shape = parseShape(options)
  const [a, b] = labelsOf(options)
  return {
    kind: 'compare',
    loop: shape.kind,
    shape,
    async measure({ first, second }, runner) {
      if (second === undefined) throw new TokenmillError('internal', 'A comparison needs two endpoints.')
      const load = levelOf(shape)
      const sides = [
        { label: a, endpoint: first, runs: [] as RunResult[] },
        { label: b, endpoint: second, runs: [] as RunResult[] },
      ]
      const pairs = Math.max(fewestPairs, options.repeats)
      for (let pair = 0; pair < pairs; pair += 1) {
        // Neither side profits from what the machine does along the way.
        for (const { label, endpoint, runs } of pair % 2 === 0 ? sides : sides.toReversed()) {
          if (runner.stopped) break
          runs.push(await runner.run({ endpoint, shape, label: `${label} #${pair + 1}`, load }, pair))
        }
      }
      return sides.map(({ label, endpoint, runs }) => {
        const { url, model } = endpoint.target
        const summary = combineRuns(runs, seedOf(options))
        return { label, load, endpoint: { url: shownUrl(url), model }, summary, runs }
      })
    },
    conclude(points) {
      const [left, right] = points
      return {
        ...concludeFromAll(points, options.attainment),
        ratios: compareRuns(left?.runs ?? [], right?.runs ?? [], seedOf(options)),
        problems: hasUniquePrompts(options) ? unequalCaches(points) : [],
      }
    },
  }
}

/** Prompts that have nothing in common: whatever a cache holds of them, somebody else has sent. */
function hasUniquePrompts({ sharedPrefix, turns, trace }: BenchOptions): boolean {
  return sharedPrefix === 0 && turns === 1 && trace === undefined
}

/** A side that found prompts in its cache has computed less than the other. */
function unequalCaches(points: readonly BenchPoint[]): string[] {
  const shares = points.flatMap(({ label, summary }) => {
    const share = summary['cachedShare'] ?? null
    return share === null ? [] : [{ label, share }]
  })
  const [most, least] = shares.toSorted((left, right) => right.share - left.share)
  if (most === undefined || least === undefined || most.share - least.share <= equalCachedShare) return []
  const percent = (share: number): string => `${(100 * share).toFixed(0)} %`
  return [
    `${most.label} found ${percent(most.share)} of its prompt tokens in its cache, ${least.label} ${percent(least.share)}: ${most.label} had seen these prompts before and computed less. Leave --seed out, or clear its cache.`,
  ]
}
