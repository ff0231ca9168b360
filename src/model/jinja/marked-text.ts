/**
 * Text that knows which of its characters came from the client: a plain string where none did, else the string and the
 * ranges of those characters. What a template itself writes may become control tokens, what a client wrote may not.
 *
 *   text    <|im_start|>user\nHello<|im_end|>
 *   input                    └───┘              [17, 22]
 */
export type Text = string | MarkedText

/** Flat pairs of start and end (exclusive), in UTF-16 units, ascending, without overlaps. */
export type Ranges = readonly number[]

export class MarkedText {
  readonly text: string
  readonly input: Ranges

  constructor(text: string, input: Ranges) {
    this.text = text
    this.input = input
  }
}

export function isText(value: unknown): value is Text {
  return typeof value === 'string' || value instanceof MarkedText
}

export function plain(text: Text): string {
  return typeof text === 'string' ? text : text.text
}

/** The whole text as the client's. */
export function markInput(text: string): Text {
  return text === '' ? '' : new MarkedText(text, [0, text.length])
}

/** `result`, made of `sources` in a way that moves characters: all of it counts as input where any source holds some. */
export function derived(result: string, ...sources: readonly unknown[]): Text {
  return sources.some((source) => source instanceof MarkedText) ? markInput(result) : result
}

export function concat(...parts: readonly Text[]): Text {
  const builder = new TextBuilder()
  for (const part of parts) builder.add(part)
  return builder.build()
}

export function slice(text: Text, start: number, end: number): Text {
  if (typeof text === 'string') return text.slice(start, end)
  const input: number[] = []
  for (let at = 0; at < text.input.length; at += 2) {
    const from = Math.max(start, text.input[at] as number)
    const to = Math.min(end, text.input[at + 1] as number)
    if (from < to) input.push(from - start, to - start)
  }
  const cut = text.text.slice(start, end)
  return input.length === 0 ? cut : new MarkedText(cut, input)
}

export class TextBuilder {
  #text = ''
  readonly #input: number[] = []

  add(part: Text): void {
    if (typeof part === 'string') {
      this.#text += part
      return
    }
    const offset = this.#text.length
    for (let at = 0; at < part.input.length; at += 2) {
      const start = offset + (part.input[at] as number)
      if (this.#input.at(-1) === start) this.#input.pop()
      else this.#input.push(start)
      this.#input.push(offset + (part.input[at + 1] as number))
    }
    this.#text += part.text
  }

  build(): Text {
    return this.#input.length === 0 ? this.#text : new MarkedText(this.#text, [...this.#input])
  }
}
