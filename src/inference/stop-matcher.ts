/**
 * Finds stop texts in text that arrives in pieces. What could be the beginning of a stop text is held back; all else
 * passes at once. The stop text that is complete first ends the text, whatever the pieces; of those complete at the
 * same character, the longest.
 */
export class StopMatcher {
  readonly #stops: readonly string[]
  readonly #longest: number
  #held = ''

  constructor(stops: readonly string[]) {
    this.#stops = stops.filter((stop) => stop.length > 0)
    this.#longest = this.#stops.reduce((longest, stop) => Math.max(longest, stop.length), 0)
  }

  /**
   * The text that may pass, and the stop text once it is complete: nothing passes after that. One that is complete
   * while none `mayStop` is text like any other.
   */
  push(piece: string, mayStop = true): { readonly text: string; readonly stop: string | undefined } {
    if (this.#longest === 0) return { text: piece, stop: undefined }
    const text = this.#held + piece
    const found = mayStop ? this.#firstComplete(text, this.#held.length) : undefined
    const pass = found === undefined ? this.#passable(text) : found.at
    this.#held = found === undefined ? text.slice(pass) : ''
    return { text: text.slice(0, pass), stop: found?.stop }
  }

  /** What was held back, when the generation ends without a stop text. */
  flush(): string {
    const text = this.#held
    this.#held = ''
    return text
  }

  /** Of the stop texts that end behind the first `known` characters. */
  #firstComplete(text: string, known: number) {
    let first: { readonly at: number; readonly end: number; readonly stop: string } | undefined
    for (const stop of this.#stops) {
      const at = text.indexOf(stop, Math.max(0, known - stop.length + 1))
      if (at < 0) continue
      const end = at + stop.length
      if (first === undefined || end < first.end || (end === first.end && at < first.at)) first = { at, end, stop }
    }
    return first
  }

  /** First position from which the rest could be the beginning of a stop text. */
  #passable(text: string): number {
    for (let start = Math.max(0, text.length - this.#longest + 1); start < text.length; start += 1) {
      const rest = text.slice(start)
      if (this.#stops.some((stop) => stop.startsWith(rest))) return start
    }
    return text.length
  }
}
