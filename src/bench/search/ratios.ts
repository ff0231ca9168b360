import { createRandom } from '../../core/index.ts'
import { bootstrapInterval, meanOf } from '../../workload/index.ts'
import type { RunResult } from '../result.ts'

export interface Ratio {
  /** Geometric mean of B/A over the pairs. */
  readonly ratio: number
  readonly low: number
  readonly high: number
}

/** The figures that a comparison gives ratios of. */
const comparedKeys = [
  'ttftMsP50',
  'ttftMsP99',
  'tpotMsP50',
  'tpotMsP99',
  'itlMsP50',
  'itlMsP99',
  'stallMsP99',
  'e2eMsP50',
  'outputTokPerS',
  'requestsPerS',
  'goodputRps',
  'inputTokensMean',
  'outputTokensMean',
] as const

/** A ratio in words: what it is of, and what it means for B. */
export interface Verdict {
  readonly name: string
  readonly clear: boolean
  readonly text: string
}

const percentile = /^(ttft|tpot|itl|stall|e2e)MsP(\d+)$/
const names: Readonly<Record<string, string>> = {
  e2e: 'end to end',
  stall: 'longest stall',
  outputTokPerS: 'output tokens/s',
  requestsPerS: 'requests/s',
  goodputRps: 'goodput, requests/s',
  inputTokensMean: 'prompt tokens, mean',
  outputTokensMean: 'output tokens, mean',
}

/** Names a ratio and says whether it favours `b`: times are better small, rates large; lengths should be equal. */
export function verdictOf(key: string, { low, high }: Ratio, b = 'B'): Verdict {
  const [, figure, rank] = percentile.exec(key) ?? []
  const name = figure === undefined ? (names[key] ?? key) : `${names[figure] ?? figure.toUpperCase()} p${rank}`
  if (low <= 1 && high >= 1) return { name, clear: false, text: 'no difference shown' }
  if (key.endsWith('TokensMean')) return { name, clear: true, text: 'unequal lengths' }
  return { name, clear: true, text: low > 1 === (figure === undefined) ? `${b} better` : `${b} worse` }
}

/**
 * Ratios B/A of runs made in pairs of equal seeds, with 95 % bootstrap intervals over the pairs, taken on the
 * logarithm, so that B/A and A/B agree. Keys that a run lacks, or that are 0, have no ratio.
 */
export function compareRuns(a: readonly RunResult[], b: readonly RunResult[], seed: number): Record<string, Ratio> {
  const ratios: Record<string, Ratio> = {}
  for (const key of comparedKeys) {
    const logs: number[] = []
    for (const [index, run] of a.entries()) {
      const [left, right] = [run.summary[key] ?? 0, b[index]?.summary[key] ?? 0]
      if (left > 0 && right > 0) logs.push(Math.log(right / left))
    }
    if (logs.length === 0 || logs.length < Math.min(a.length, b.length)) continue
    const interval = bootstrapInterval(logs, createRandom(seed))
    ratios[key] = { ratio: Math.exp(meanOf(logs)), low: Math.exp(interval.low), high: Math.exp(interval.high) }
  }
  return ratios
}
