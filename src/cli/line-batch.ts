/** What lines are written to. */
export interface LineSink {
  write(text: string): unknown
  readonly isTTY?: boolean | undefined
}

/** Longest time that a line waits for others: shorter than anybody who reads along can see. */
const maxWaitMs = 10

/**
 * Gathers the lines of ten milliseconds into one write. A write to a pipe wakes whoever reads it, which costs more than
 * all else about an access line. Whoever owns it flushes at the end of the process.
 */
export class LineBatch implements LineSink {
  readonly isTTY: boolean
  readonly #sink: LineSink
  #lines = ''

  constructor(sink: LineSink) {
    this.#sink = sink
    this.isTTY = sink.isTTY ?? false
  }

  write(line: string): void {
    if (this.#lines === '') setTimeout(() => this.flush(), maxWaitMs).unref()
    this.#lines += line
  }

  /** Writes what is there. */
  flush(): void {
    const lines = this.#lines
    this.#lines = ''
    if (lines !== '') this.#sink.write(lines)
  }
}
