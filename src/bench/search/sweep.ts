import { TokenmillError } from '../../core/index.ts'
import type { LoadShape } from '../plan.ts'
import { closedLoop, labelOf, openLoop, steady } from '../load-shape.ts'
import type { BenchPoint } from '../result.ts'
import type { BenchOptions } from '../options.ts'
import { concludeFromAll, type PlanSearch } from './search.ts'

/** Each of the listed loads in turn, on one endpoint. */
export const planSweep: PlanSearch = (options) => {
  const { quantity, levels } = parseSweep(options.sweep ?? '')
  const { shapeOf, loopText } = quantities[quantity]
  const shapes = levels.map((level) => shapeOf(options, level))
  const [shape] = shapes
  if (shape === undefined) throw sweepError(options.sweep ?? '')
  return {
    kind: 'sweep',
    loop: shape.kind,
    shape,
    loadText: `${loopText(options)}, sweep ${options.sweep ?? ''}`,
    async measure({ first }, runner) {
      const points: BenchPoint[] = []
      for (const [index, shape] of shapes.entries()) {
        if (runner.stopped) break
        const load = levels[index] ?? 0
        points.push(await runner.measurePoint({ endpoint: first, shape, label: labelOf(shape), load }))
      }
      return points
    },
    conclude: (points) => concludeFromAll(points, options.attainment),
  }
}

interface Quantity {
  readonly shapeOf: (options: BenchOptions, level: number) => LoadShape
  readonly loopText: (options: BenchOptions) => string
}

const quantities: Readonly<Record<'concurrency' | 'rate', Quantity>> = {
  concurrency: {
    shapeOf: (options, level) => closedLoop(options, [steady(level)]),
    loopText: () => 'closed loop',
  },
  rate: {
    shapeOf: (options, level) => openLoop(options, [steady(level)]),
    loopText: ({ arrivals }) => `open loop (${arrivals})`,
  },
}

function parseSweep(text: string): { readonly quantity: keyof typeof quantities; readonly levels: readonly number[] } {
  const [, quantity, list] = /^(concurrency|rate)=(.+)$/.exec(text) ?? []
  const levels = list?.split(',').map(Number) ?? []
  if (quantity === undefined || !levels.every((level) => level > 0)) throw sweepError(text)
  return { quantity: quantity === 'rate' ? 'rate' : 'concurrency', levels }
}

function sweepError(text: string): TokenmillError {
  return new TokenmillError('invalid_request', `--sweep is '${text}'; write concurrency=1,2,4,8 or rate=1,2,4.`)
}
