import { StopMatcher } from '../../inference/index.ts'
import type { QuietMarks } from '../messages.ts'

/**
 * Looks for the ends of one text: the template's end of a turn anywhere, the client's stop texts in its content alone,
 * behind thinking and the white space that follows it.
 */
export class StopTexts {
  readonly #turnEnds: StopMatcher
  readonly #stops: StopMatcher
  readonly #quiet: QuietMarks | undefined
  #state: 'beginning' | 'quiet' | 'space' | 'content'
  /** The beginning that may become the opening mark, or the end that may become the closing one. */
  #seen = ''

  constructor(turnEnds: readonly string[], stops: readonly string[], quiet: QuietMarks | undefined) {
    this.#turnEnds = new StopMatcher(turnEnds)
    this.#stops = new StopMatcher(stops)
    // Without stop texts there is nothing to look for.
    this.#quiet = stops.length === 0 ? undefined : quiet
    this.#state = this.#quiet === undefined ? 'content' : this.#quiet.opened ? 'quiet' : 'beginning'
  }

  /** The text that may pass, and the stop text once it is complete: nothing passes after that. */
  push(piece: string, mayStop: boolean): { readonly text: string; readonly stop: string | undefined } {
    const turn = this.#turnEnds.push(piece, mayStop)
    const passed = this.#pass(turn.text, mayStop)
    if (passed.stop !== undefined || turn.stop === undefined) return passed
    const rest = this.#rest(mayStop)
    return { text: passed.text + rest.text, stop: rest.stop ?? turn.stop }
  }

  /** What was held back, when the generation ends without a stop text. */
  flush(mayStop: boolean): { readonly text: string; readonly stop: string | undefined } {
    const passed = this.#pass(this.#turnEnds.flush(), mayStop)
    if (passed.stop !== undefined) return passed
    const rest = this.#rest(mayStop)
    return { text: passed.text + rest.text, stop: rest.stop }
  }

  #rest(mayStop: boolean): { readonly text: string; readonly stop: string | undefined } {
    const begun = this.#state === 'beginning' ? this.#seen : ''
    this.#seen = ''
    const { text, stop } = this.#stops.push(begun, mayStop)
    return { text: stop === undefined ? text + this.#stops.flush() : text, stop }
  }

  #pass(text: string, mayStop: boolean): { readonly text: string; readonly stop: string | undefined } {
    if (this.#state === 'content') return this.#stops.push(text, mayStop)
    const content = this.#contentOf(text)
    const { text: passed, stop } = this.#stops.push(content.text, mayStop)
    return { text: content.before + passed, stop }
  }

  /** The text cut where content begins. What may become the opening mark waits. */
  #contentOf(text: string): { readonly before: string; readonly text: string } {
    const { open, close } = this.#quiet ?? { open: '', close: '' }
    let rest = text
    let before = ''
    if (this.#state === 'beginning') {
      rest = this.#seen + text
      this.#seen = ''
      const begun = rest.trimStart()
      if (begun.startsWith(open)) this.#state = 'quiet'
      else if (open.startsWith(begun)) {
        this.#seen = rest
        return { before: '', text: '' }
      } else this.#state = 'content'
    }
    if (this.#state === 'quiet') {
      const looked = this.#seen + rest
      const at = looked.indexOf(close)
      if (at < 0) {
        this.#seen = looked.slice(Math.max(0, looked.length - close.length + 1))
        return { before: rest, text: '' }
      }
      const end = at + close.length - this.#seen.length
      before = rest.slice(0, end)
      rest = rest.slice(end)
      this.#seen = ''
      this.#state = 'space'
    }
    if (this.#state === 'space') {
      const trimmed = rest.trimStart()
      before += rest.slice(0, rest.length - trimmed.length)
      rest = trimmed
      if (rest !== '') this.#state = 'content'
    }
    return { before, text: rest }
  }
}
