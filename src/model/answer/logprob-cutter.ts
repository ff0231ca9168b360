import type { TokenLogprobs } from '../../inference/index.ts'

/**
 * Gives each piece of an answer the log-probabilities of its own text, so that their tokens, joined, are that text. What
 * an answer leaves out (marks, calls, a stop text, space between parts) takes its tokens along; of a token that belongs
 * to it in part, that part is kept.
 */
export class LogprobCutter {
  readonly #decoder = new TextDecoder('utf-8', { ignoreBOM: true })
  #entries: Entry[] = []
  /** Where the text of the tokens so far ends, in UTF-16 units. */
  #end = 0

  push(tokens: readonly TokenLogprobs[]): void {
    for (const logprobs of tokens) {
      const text = this.#decoder.decode(logprobs.token.bytes, { stream: true })
      this.#entries.push({ logprobs, text, at: this.#end, kept: '' })
      this.#end += text.length
    }
  }

  /** The tokens of a piece of text. Its last one is held back where its text goes on, and comes with what goes on. */
  take(at: number, length: number): TokenLogprobs[] {
    const end = at + length
    const taken = (this.#entries[0]?.at ?? at) < at ? this.close() : []
    for (let entry = this.#entries[0]; entry !== undefined && entry.at < end; entry = this.#entries[0]) {
      this.#entries.shift()
      const entryEnd = entry.at + entry.text.length
      if (entry.at < at && entryEnd <= at) continue
      const kept = entry.kept + entry.text.slice(Math.max(0, at - entry.at), end - entry.at)
      if (entryEnd <= end) {
        taken.push(trimmed(entry, kept))
      } else {
        this.#entries.unshift({ ...entry, kept, text: entry.text.slice(end - entry.at), at: end })
        break
      }
    }
    return taken
  }

  /** The token that was held back, cut to what was wanted of it: nothing more of its text will be. */
  close(): TokenLogprobs[] {
    const [first] = this.#entries
    if (first === undefined || first.kept === '') return []
    this.#entries.shift()
    return [trimmed(first, first.kept)]
  }
}

interface Entry {
  readonly logprobs: TokenLogprobs
  /** The part of the token's text that is not decided yet, and where it begins. */
  readonly text: string
  readonly at: number
  /** The part before it that is wanted. */
  readonly kept: string
}

/** The token as it is where all of its text is kept: its bytes may be those of half a character. */
function trimmed({ logprobs }: Entry, kept: string): TokenLogprobs {
  const { token } = logprobs
  const whole = new TextDecoder('utf-8', { ignoreBOM: true }).decode(token.bytes)
  if (kept === '' || kept.length >= whole.length) return logprobs
  return { ...logprobs, token: { ...token, bytes: Buffer.from(kept) } }
}
