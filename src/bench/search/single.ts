import { labelOf, levelOf, parseShape } from '../load-shape.ts'
import { concludeFromAll, type PlanSearch } from './search.ts'

/** One load on one endpoint. */
export const planSingle: PlanSearch = (options) => {
  const shape = parseShape(options)
  return {
    kind: 'run',
    loop: shape.kind,
    shape,
    async measure({ first }, runner) {
      return [await runner.measurePoint({ endpoint: first, shape, label: labelOf(shape), load: levelOf(shape) })]
    },
    conclude: (points) => concludeFromAll(points, options.attainment),
  }
}
