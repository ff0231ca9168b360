/** One figure of the table: what was measured, what was asked, and the numbers behind it for the JSON. */
export interface Finding {
  readonly row: string
  /** Load and contender, in a few words. */
  readonly what: string
  readonly value: string
  /** The bar in words; empty where the line is for information. */
  readonly asked: string
  readonly met: boolean | undefined
  readonly data: unknown
}

export interface BenchmarkModel {
  readonly name: string
  readonly path: string
  readonly vocabulary: number
}

/** What every row is given. */
export interface Run {
  readonly model: BenchmarkModel
  /** The project's own small model; undefined where it is not there. */
  readonly nano: string | undefined
  /** Decode threads of every contender. */
  readonly threads: number
  readonly repeats: number
  readonly seed: number
  /** Fewer levels and shorter phases, for a quick look. */
  readonly isQuick: boolean
  /** Levels of concurrency of the throughput rows; undefined: the table's. */
  readonly streams: readonly number[] | undefined
  /** undefined: the row measures without it and says so. */
  readonly llamaServer: string | undefined
  report(finding: Finding): void
  /** Progress for whoever waits. */
  log(line: string): void
}
