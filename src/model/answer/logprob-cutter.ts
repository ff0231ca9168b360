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
      this.#entries.push({ logprobs, text, at: this.#end, from: undefined, decided: 0 })
      this.#end += text.length
    }
  }

  /** The tokens of a piece of text. Its last one is held back where its text goes on, and comes with what goes on. */
  take(at: number, length: number): TokenLogprobs[] {
    const end = at + length
    const [held] = this.#entries
    const taken = held !== undefined && held.at + held.decided < at ? this.close() : []
    for (
      let entry = this.#entries[0];
      entry !== undefined && entry.at + entry.decided < end;
      entry = this.#entries[0]
    ) {
      this.#entries.shift()
      const { text } = entry
      if (entry.at < at && entry.at + text.length <= at) {
        // The first bytes of a character go with those that complete it.
        const begun = entry.at + text.length === at ? unfinishedBytes(entry.logprobs.token.bytes) : 0
        if (begun > 0) taken.push(withBytes(entry.logprobs, entry.logprobs.token.bytes.slice(-begun)))
        continue
      }
      const from = entry.from ?? Math.max(0, at - entry.at)
      const to = Math.min(text.length, end - entry.at)
      if (to === text.length) {
        taken.push(cutToken(entry, from, to))
      } else {
        this.#entries.unshift({ ...entry, from, decided: to })
        break
      }
    }
    return taken
  }

  /** The token that was held back, cut to what was wanted of it: nothing more of its text will be. */
  close(): TokenLogprobs[] {
    const [first] = this.#entries
    if (first?.from === undefined) return []
    this.#entries.shift()
    return [cutToken(first, first.from, first.decided)]
  }
}

interface Entry {
  readonly logprobs: TokenLogprobs
  /** The text that the token adds to the answer, and where it begins. */
  readonly text: string
  readonly at: number
  /** Where the part of it that is wanted begins; undefined while none is. */
  readonly from: number | undefined
  /** How much of it is decided. */
  readonly decided: number
}

/**
 * The token with the bytes of a part of its text. Its bytes may begin with the end of a character that the token before
 * it has begun, and end with the beginning of one.
 */
function cutToken({ logprobs, text }: Entry, from: number, to: number): TokenLogprobs {
  if (from === 0 && to === text.length) return logprobs
  const { bytes } = logprobs.token
  const foreign = Buffer.byteLength(text) - (bytes.length - unfinishedBytes(bytes))
  const offset = (at: number): number => Math.max(0, Buffer.byteLength(text.slice(0, at)) - foreign)
  return withBytes(logprobs, bytes.subarray(offset(from), offset(to)))
}

function withBytes(logprobs: TokenLogprobs, bytes: Uint8Array): TokenLogprobs {
  return { ...logprobs, token: { ...logprobs.token, bytes } }
}

/** How many bytes at the end begin a character without ending it. */
function unfinishedBytes(bytes: Uint8Array): number {
  for (let length = 1; length <= Math.min(3, bytes.length); length += 1) {
    const byte = bytes[bytes.length - length] as number
    if (byte < 0x80) return 0
    if (byte >= 0xc0) return length < (byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : 2) ? length : 0
  }
  return 0
}
