/** Text at which a grammar begins to bind; the grammar describes what follows the text. */
export interface Trigger {
  readonly text: string
  /** Counts only as the first thing in the answer, white space aside. */
  readonly onlyAtStart: boolean
  /** Marks around thinking, in which nothing counts. `opened`: the prompt ends inside it. */
  readonly thinking: { readonly open: string; readonly close: string; readonly opened: boolean } | undefined
}

/**
 * Follows an answer as it is generated until the trigger appears in it. Keeps no more of the text than the marks are
 * long.
 */
export class TriggerWatch {
  readonly #trigger: Trigger
  #state: 'beginning' | 'thinking' | 'answer' | 'over'
  #text = ''
  /** Only white space has come since the answer, or the end of thinking. */
  #fresh = true

  constructor(trigger: Trigger) {
    this.#trigger = trigger
    const { thinking } = trigger
    this.#state = thinking === undefined ? 'answer' : thinking.opened ? 'thinking' : 'beginning'
  }

  /** Takes the next text. What stands behind the trigger, once it has appeared; undefined before. */
  push(text: string): string | undefined {
    this.#text += text
    if (this.#state === 'beginning') this.#begin()
    if (this.#state === 'thinking') this.#think()
    return this.#state === 'answer' ? this.#search() : undefined
  }

  #begin(): void {
    const { open } = this.#trigger.thinking ?? { open: '' }
    const begun = this.#text.trimStart()
    if (begun.startsWith(open)) {
      this.#text = begun.slice(open.length)
      this.#state = 'thinking'
    } else if (!open.startsWith(begun)) {
      this.#state = 'answer'
    }
  }

  #think(): void {
    const { close } = this.#trigger.thinking ?? { close: '' }
    const at = this.#text.indexOf(close)
    if (at < 0) {
      this.#text = this.#text.slice(-close.length)
    } else {
      this.#text = this.#text.slice(at + close.length)
      this.#state = 'answer'
    }
  }

  #search(): string | undefined {
    const { text, onlyAtStart } = this.#trigger
    if (this.#fresh) this.#text = this.#text.trimStart()
    const at = this.#text.indexOf(text)
    if (at === 0 || (at > 0 && !onlyAtStart)) {
      this.#state = 'over'
      return this.#text.slice(at + text.length)
    }
    if (onlyAtStart && !text.startsWith(this.#text)) this.#state = 'over'
    if (this.#text.length > text.length) {
      this.#text = this.#text.slice(-text.length)
      this.#fresh = false
    }
    return undefined
  }
}
