/** What lines are written to. */
export interface LineSink {
  write(text: string): unknown
  readonly isTTY?: boolean | undefined
}

/**
 * Gathers the lines of one turn of the event loop into one write: a busy server ends several requests a turn, and a
 * write to a pipe costs more than all else about its access line. Nothing waits for longer than the turn.
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
    if (this.#lines === '') setImmediate(() => this.flush())
    this.#lines += line
  }

  /** Writes what is there: at the end, when no other turn may come. */
  flush(): void {
    const lines = this.#lines
    this.#lines = ''
    if (lines !== '') this.#sink.write(lines)
  }
}
