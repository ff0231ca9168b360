import { MarkedText, markInput, plain, isText, type Text } from './marked-text.ts'
import { Dict, isList, TemplateError, toValue, typeName, Undefined, type Value } from './values.ts'

export interface JsonStyle {
  /** Spaces a level, or the text of a level; undefined: all on one line. */
  readonly indent: string | undefined
  readonly ensureAscii: boolean
  readonly sortKeys: boolean
  readonly separators: readonly [item: string, key: string]
}

/** `json.dumps` of Python, as `tojson` of chat templates has it. All of it counts as input where any part of the value is. */
export function toJson(value: Value, style: JsonStyle): Text {
  const writer = new JsonWriter(style)
  const text = writer.write(value, '\n')
  return writer.sawInput ? markInput(text) : text
}

export function parseJson(text: Text): Value {
  try {
    return toValue(JSON.parse(plain(text)), text instanceof MarkedText)
  } catch {
    throw new TemplateError('from_json is given a text that is no JSON')
  }
}

class JsonWriter {
  sawInput = false
  readonly #style: JsonStyle

  constructor(style: JsonStyle) {
    this.#style = style
  }

  write(value: Value, line: string): string {
    if (value === null || value instanceof Undefined) return 'null'
    if (isText(value)) {
      this.sawInput ||= value instanceof MarkedText
      return this.#quote(plain(value))
    }
    if (typeof value === 'number' || typeof value === 'boolean') return JSON.stringify(value)
    const inner = this.#style.indent === undefined ? line : line + this.#style.indent
    if (isList(value)) {
      const items = value.map((item) => this.write(item, inner))
      return this.#wrap('[', items, ']', line, inner)
    }
    if (value instanceof Dict) {
      if (value.input && value.entries.size > 0) this.sawInput = true
      const entries = [...value.entries]
      if (this.#style.sortKeys) entries.sort(([one], [other]) => (String(one) < String(other) ? -1 : 1))
      const items = entries.map(
        ([key, entry]) => this.#quote(String(key)) + this.#style.separators[1] + this.write(entry, inner),
      )
      return this.#wrap('{', items, '}', line, inner)
    }
    throw new TemplateError(`${typeName(value)} cannot be written as JSON`)
  }

  #wrap(open: string, items: readonly string[], close: string, line: string, inner: string): string {
    const { indent, separators } = this.#style
    if (items.length === 0) return open + close
    if (indent === undefined) return open + items.join(separators[0]) + close
    return open + inner + items.join(separators[0] + inner) + line + close
  }

  #quote(text: string): string {
    const quoted = JSON.stringify(text)
    if (!this.#style.ensureAscii) return quoted
    return quoted.replace(
      /[\u007f-\uffff]/g,
      (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
    )
  }
}
