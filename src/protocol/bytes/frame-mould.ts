import { skipString } from './json-scan.ts'

/**
 * Frames of one stream differ in little but the text of the new token:
 *
 *   data: {"id":"…","model":"org/m","choices":[{"index":0,"delta":{"content":  "word"  },"finish_reason":null}]}
 *   └──────────────────────────── prefix ─────────────────────────────────┘  └ text ┘ └──────── suffix ───────┘
 *
 * A frame that has been scanned in full becomes the mould; the next one is compared with it, which takes two native
 * comparisons and a search for the closing quote. Equal prefix, one string, equal suffix: whatever held for the mould
 * holds for it, so it needs no scan, and its rewritten borders are at hand.
 */
export class FrameMould {
  #prefix: Buffer = empty
  #suffix: Buffer = empty
  #writtenPrefix: Buffer = empty
  #writtenSuffix: Buffer = empty
  #rewritten = false
  /** Moulds in a row that fitted nothing. */
  #misses = 0
  #cast = false

  /** Streams whose frames differ in more (usage on each, a time on each) are not worth another mould. */
  get isUseful(): boolean {
    return this.#misses < maxMisses
  }

  /**
   * Takes a frame whose only text is the string from `start` to `end`, and what is written in its place: the same,
   * but for edits outside of that string.
   */
  take(frame: Buffer, start: number, end: number, written: Buffer, writtenStart: number): void {
    this.#prefix = Buffer.from(frame.subarray(0, start))
    this.#suffix = Buffer.from(frame.subarray(end))
    this.#rewritten = written !== frame
    if (this.#rewritten) {
      this.#writtenPrefix = Buffer.from(written.subarray(0, writtenStart))
      this.#writtenSuffix = Buffer.from(written.subarray(writtenStart + end - start))
    }
    this.#cast = true
    this.#misses += 1
  }

  /** Adds what is to be written for the frame to `out`. False where it does not fit, or has no text. */
  pass(frame: Buffer, out: Buffer[]): boolean {
    if (!this.#cast) return false
    const prefixLength = this.#prefix.length
    const end = frame.length - this.#suffix.length
    // Two quotes and something between them.
    if (end - prefixLength < 3 || frame[prefixLength] !== quote || frame[prefixLength + 1] === quote) return false
    if (frame.compare(this.#prefix, 0, prefixLength, 0, prefixLength) !== 0) return false
    if (frame.compare(this.#suffix, 0, this.#suffix.length, end) !== 0) return false
    if (skipString(frame, prefixLength, frame.length) !== end) return false
    this.#misses = 0
    if (this.#rewritten) out.push(this.#writtenPrefix, frame.subarray(prefixLength, end), this.#writtenSuffix)
    else out.push(frame)
    return true
  }
}

const empty = Buffer.alloc(0)
const quote = 0x22
const maxMisses = 8
