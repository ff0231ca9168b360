import { TokenmillError } from '../../core/index.ts'
import type { BenchOptions } from '../options.ts'
import { planCompare } from './compare.ts'
import { planGoodput } from './goodput.ts'
import type { PlanSearch, Search } from './search.ts'
import { planSingle } from './single.ts'
import { planSweep } from './sweep.ts'

interface Mode {
  readonly flag: string
  readonly isAsked: (options: BenchOptions) => boolean
  readonly plan: PlanSearch
  /** URLs that it takes. */
  readonly urls: number
}

/** What turns a load test into a search. */
const modes: readonly Mode[] = [
  { flag: '--sweep', isAsked: ({ sweep }) => sweep !== undefined, plan: planSweep, urls: 1 },
  { flag: '--find-goodput', isAsked: ({ findGoodput }) => findGoodput, plan: planGoodput, urls: 1 },
  { flag: '--compare', isAsked: ({ compare }) => compare, plan: planCompare, urls: 2 },
]

/** The search that the options ask for. Throws `invalid_request` for options that exclude each other, and for too few URLs. */
export function planSearch(options: BenchOptions, urls: readonly string[]): Search {
  const asked = modes.filter((mode) => mode.isAsked(options))
  if (asked.length > 1)
    throw new TokenmillError('invalid_request', `${asked.map((mode) => mode.flag).join(' and ')} exclude each other.`)
  const { plan, urls: wanted } = asked[0] ?? { plan: planSingle, urls: 1 }
  if (urls.length !== wanted)
    throw new TokenmillError(
      'invalid_request',
      `${wanted === 2 ? 'Two URLs are' : 'One URL is'} needed; ${urls.length} given.`,
    )
  return plan(options)
}
