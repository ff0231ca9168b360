import type { Choice, Demand, RiskOfMiss } from '../search/choice.ts'
import { describePrediction } from '../timing/describe.ts'

export function nameOf({ prediction }: Choice): string {
  return unbroken(describePrediction(prediction))
}

/** A configuration's name that a narrow column breaks before "on" alone. */
export function unbroken(name: string): string {
  return name.replaceAll(' ', '\u00A0').replace('\u00A0on\u00A0', ' on\u00A0')
}

export function objectives(demand: Demand): string {
  const parts: string[] = []
  if (demand.ttftMs !== undefined) parts.push(`TTFT ≤ ${demand.ttftMs} ms`)
  if (demand.tpotMs !== undefined) parts.push(`TPOT ≤ ${demand.tpotMs} ms`)
  if (demand.ratePerSecond !== undefined) parts.push(`${demand.ratePerSecond} requests/s`)
  if (demand.users !== undefined) parts.push(`${demand.users} users`)
  return parts.join(', ') || 'none'
}

export function rateText({ ratePerSecond, users }: Demand): string {
  if (ratePerSecond !== undefined) return `${ratePerSecond} requests/s over the fleet`
  return users === undefined
    ? 'one stream at a time, since neither a rate nor users were given'
    : `${users} streams that never pause`
}

/** In words: whether the unfavourable end of the intervals meets the objectives, and by how much it does not. */
export function riskText(risks: readonly RiskOfMiss[]): string {
  if (risks.length === 0) return 'Safe: the unfavourable end of the 80 % intervals meets the objectives too.'
  const misses = risks.map(({ quantity, worstMs, objectiveMs }) => {
    const digits = objectiveMs < 100 ? 1 : 0
    return `${quantity} may come to ${worstMs.toFixed(digits)} ms, ${(100 * (worstMs / objectiveMs - 1)).toFixed(0)} % over its objective of ${objectiveMs} ms`
  })
  return `Not safe: ${misses.join(', and ')}. Plan with --risk safe to rule that out.`
}
