export interface RateSearch {
  readonly startRate: number
  /** Ends when the bounds' ratio is below 1 + this. */
  readonly precision: number
  readonly maxPoints: number
}

export interface RateSearchResult {
  /** Highest rate that held; undefined where none did. */
  readonly highest: number | undefined
  /** Lowest rate that failed; undefined where none did within the points allowed. */
  readonly lowestFailed: number | undefined
}

/**
 * Highest rate at which `holds` says yes: doubles (or halves) until the answer changes, then bisects on the
 * logarithm until the bounds are close. Takes it that what fails at a rate fails above it.
 */
export async function searchRate(
  search: RateSearch,
  holds: (rate: number) => Promise<boolean>,
): Promise<RateSearchResult> {
  let [low, high]: [number | undefined, number | undefined] = [undefined, undefined]
  let rate = search.startRate
  for (let points = 0; points < search.maxPoints; points += 1) {
    if (await holds(rate)) low = rate
    else high = rate
    if (low !== undefined && high !== undefined && high / low < 1 + search.precision) break
    if (low === undefined) rate /= 2
    else if (high === undefined) rate *= 2
    else rate = Math.sqrt(low * high)
  }
  return { highest: low, lowestFailed: high }
}
