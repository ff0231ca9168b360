/** Puts lines together into one text. */
export class MultiLine {
  readonly #lines: string[] = []
  #quoted = false

  /** The text, once it is complete; undefined while more belongs to it. */
  push(line: string): string | undefined {
    if (!this.#quoted && this.#lines.length === 0 && line.trimStart().startsWith('"""')) {
      this.#quoted = true
      return this.#add(line.trimStart().slice(3))
    }
    return this.#add(line)
  }

  /** Nothing of a text has come yet. */
  get empty(): boolean {
    return this.#lines.length === 0 && !this.#quoted
  }

  /** Forgets what has come. */
  clear(): void {
    this.#take()
  }

  #add(line: string): string | undefined {
    if (this.#quoted) {
      const closed = line.trimEnd().endsWith('"""')
      this.#lines.push(closed ? line.trimEnd().slice(0, -3) : line)
      return closed ? this.#take() : undefined
    }
    const goesOn = line.endsWith('\\')
    this.#lines.push(goesOn ? line.slice(0, -1) : line)
    return goesOn ? undefined : this.#take()
  }

  #take(): string {
    this.#quoted = false
    return this.#lines.splice(0).join('\n').trim()
  }
}
