import type { SimulatedSequence } from './sequence.ts'

/** Decides when each token of each sequence is due. */
export interface SequenceScheduler {
  /** Sequences that are computed now. */
  readonly running: number
  readonly waiting: number
  readonly maxRunning: number
  /** Share of KV blocks held by sequences, 0 to 1; undefined where there is no limit. */
  readonly kvCacheUsage: number | undefined
  /** KV cells in all, tokens; undefined: no limit. */
  readonly kvTokens: number | undefined
  /** Totals since start, tokens. */
  readonly prefixCache: { readonly queries: number; readonly hits: number }
  readonly preemptions: number
  /** Joules of all steps since start; undefined where the step model knows none. */
  readonly joules: number | undefined
  /** From now on the sequence is the scheduler's, until its last token or `cancel`. */
  submit(sequence: SimulatedSequence): void
  /** Frees all that the sequence holds, at once. Does nothing for one that has ended. */
  cancel(sequence: SimulatedSequence): void
}
