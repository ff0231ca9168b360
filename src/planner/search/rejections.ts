import type { Rejected, RejectionCause } from './choice.ts'

/** Rejected configurations of one cause, the one that misses by least first. */
export interface RejectionGroup {
  readonly cause: RejectionCause
  readonly rejected: readonly Rejected[]
  /** By how much the nearest one misses, in words: GB per GPU, or ms over the objective. */
  readonly nearest: string
}

const order: readonly RejectionCause[] = ['memory', 'TPOT', 'TTFT', 'TTFT and TPOT', 'split', 'other']

export function groupRejections(rejected: readonly Rejected[]): readonly RejectionGroup[] {
  return [...Map.groupBy(rejected, ({ cause }) => cause)]
    .toSorted(([a], [b]) => order.indexOf(a) - order.indexOf(b))
    .map(([cause, own]) => {
      const sorted = own.toSorted((a, b) => excess(a) - excess(b))
      return { cause, rejected: sorted, nearest: sorted[0] === undefined ? '' : excessText(sorted[0]) }
    })
}

/** What a cause is called in a table. */
export const causeNames: Readonly<Record<RejectionCause, string>> = {
  memory: 'does not fit in memory',
  TTFT: 'misses TTFT even alone',
  TPOT: 'misses TPOT even alone',
  'TTFT and TPOT': 'misses TTFT and TPOT even alone',
  split: 'cannot be split so',
  other: 'other',
}

function excess({ over }: Rejected): number {
  return over === undefined ? Infinity : over.value / over.objective
}

/** `12.3 GB missing on each GPU`, `31.2 ms for 25 ms`; the reason itself where nothing was measured. */
export function excessText({ cause, over, reason }: Rejected): string {
  if (over === undefined) return reason
  if (cause === 'memory') return `${((over.value - over.objective) / 1e9).toFixed(1)} GB missing on each GPU`
  return `${over.value.toFixed(1)} ms for ${over.objective} ms`
}
