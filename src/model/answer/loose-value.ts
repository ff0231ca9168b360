/**
 * Values as models write them that were not taught JSON, turned into JSON text:
 *
 *   Gemma:  {city:<|"|>Oslo<|"|>,days:3,deep:{list:[true,null]}}
 *   Python: {'city': "Oslo", 'days': 3, 'deep': {'list': [True, None]}}
 *
 * A quote inside a text ends it only where something follows that can follow a value: not every template escapes it.
 */
export class LooseValues {
  readonly #text: string
  #at: number

  constructor(text: string, at = 0) {
    this.#text = text
    this.#at = at
  }

  get rest(): string {
    return this.#text.slice(this.#at)
  }

  /** Takes what the pattern matches here, white space before it aside; undefined where it does not. */
  take(pattern: RegExp): string | undefined {
    const found = new RegExp(`\\s*(?:${pattern.source})`, 'y')
    found.lastIndex = this.#at
    const match = found.exec(this.#text)
    if (match === null) return undefined
    this.#at = found.lastIndex
    return match[0].trimStart()
  }

  /** The JSON text of the next value; undefined where there is none. */
  value(depth = 0): string | undefined {
    if (depth > deepest) return undefined
    const text = this.#quoted()
    if (text !== undefined) return JSON.stringify(text)
    if (this.take(/\{/) !== undefined) return this.members(/\}/, /:/, depth)
    if (this.take(/[[(]/) !== undefined) return this.#items(depth)
    const word = this.take(/[^,}\])]+/)?.trimEnd()
    return word === undefined ? undefined : toJsonWord(word)
  }

  /** An object's members behind its opening mark, up to the closing one. */
  members(close: RegExp, between: RegExp, depth = 0): string | undefined {
    const members: string[] = []
    while (this.take(close) === undefined) {
      const key = this.#quoted() ?? this.take(/[^:=,{}()[\]]+/)?.trimEnd()
      if (key === undefined || this.take(between) === undefined) return undefined
      const value = this.value(depth + 1)
      if (value === undefined) return undefined
      members.push(`${JSON.stringify(key)}: ${value}`)
      this.take(/,/)
    }
    return `{${members.join(', ')}}`
  }

  #items(depth: number): string | undefined {
    const items: string[] = []
    while (this.take(/[\])]/) === undefined) {
      const item = this.value(depth + 1)
      if (item === undefined) return undefined
      items.push(item)
      this.take(/,/)
    }
    return `[${items.join(', ')}]`
  }

  #quoted(): string | undefined {
    if (this.take(/<\|"\|>/) !== undefined) {
      const end = this.#text.indexOf('<|"|>', this.#at)
      if (end < 0) return undefined
      const text = this.#text.slice(this.#at, end)
      this.#at = end + 5
      return text
    }
    const quote = this.take(/["']/)
    if (quote === undefined) return undefined
    for (let at = this.#at; at < this.#text.length; at += 1) {
      if (this.#text[at] === '\\') at += 1
      else if (this.#text[at] === quote && /^\s*(?:[,:)\]}]|$)/.test(this.#text.slice(at + 1, at + 40))) {
        const text = this.#text.slice(this.#at, at)
        this.#at = at + 1
        return text.replace(/\\(?:u([0-9a-fA-F]{4})|([nrtbf\\'"/]))/g, (_, hex?: string, letter = '') =>
          hex === undefined ? (controls[letter] ?? letter) : String.fromCharCode(Number.parseInt(hex, 16)),
        )
      }
    }
    return undefined
  }
}

const deepest = 64
const controls: Readonly<Record<string, string>> = { n: '\n', r: '\r', t: '\t', b: '\b', f: '\f' }
const words: Readonly<Record<string, string>> = { True: 'true', False: 'false', None: 'null' }

function toJsonWord(word: string): string {
  const known = words[word] ?? word
  return /^(?:true|false|null|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?)$/.test(known) ? known : JSON.stringify(word)
}
