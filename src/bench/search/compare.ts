import { TokenmillError } from '../../core/index.ts'
import { combineRuns, type RunResult } from '../result.ts'
import { levelOf, parseShape } from '../load-shape.ts'
import { compareRuns } from './ratios.ts'
import { concludeFromAll, type PlanSearch } from './search.ts'

/** Of fewer pairs the interval of a ratio says nothing. */
const fewestPairs = 3

/** Two endpoints under the same load, interleaved: A B, B A, A B, in pairs of equal seeds. */
export const planCompare: PlanSearch = (options) => {
  const shape = parseShape(options)
  return {
    kind: 'compare',
    loop: shape.kind,
    shape,
    async measure({ first, second }, runner) {
      if (second === undefined) throw new TokenmillError('internal', 'A comparison needs two endpoints.')
      const load = levelOf(shape)
      const sides = [
        { label: 'A', endpoint: first, runs: [] as RunResult[] },
        { label: 'B', endpoint: second, runs: [] as RunResult[] },
      ]
      const pairs = Math.max(fewestPairs, options.repeats)
      for (let pair = 0; pair < pairs; pair += 1) {
        // Neither side profits from what the machine does along the way.
        for (const { label, endpoint, runs } of pair % 2 === 0 ? sides : sides.toReversed()) {
          if (runner.stopped) break
          runs.push(await runner.run({ endpoint, shape, label: `${label}${pair + 1}`, load }, pair))
        }
      }
      return sides.map(({ label, runs }) => ({ label, load, summary: combineRuns(runs, options.seed), runs }))
    },
    conclude(points) {
      const [a, b] = points.map((point) => point.runs)
      return {
        ...concludeFromAll(points, options.attainment),
        ratios: compareRuns(a ?? [], b ?? [], options.seed),
      }
    },
  }
}
