import {
  anyCodePoint,
  codePoint,
  codePointRange,
  complement,
  digits,
  intersect,
  lineEnds,
  spaces,
  unite,
  wordLetters,
  type CodePoints,
} from './code-points.ts'
import { choice, repeat, sequence, set, type Pattern } from './pattern.ts'

/** Why a regular expression cannot be turned into a grammar. */
export class RegexFault extends Error {}

/**
 * Parses a regular expression of JSON Schema: ECMAScript's with the flag `u`. What no grammar can express
 * (look-around, back references, word boundaries) throws a RegexFault that names it.
 * Syntax: https://tc39.es/ecma262/#sec-patterns
 */
export function parseRegex(source: string): Pattern {
  const parser = new RegexParser(source)
  const pattern = parser.choice()
  parser.expectEnd()
  return pattern
}

const maxGroupDepth = 100

class RegexParser {
  readonly #letters: readonly string[]
  #at = 0
  #depth = 0

  constructor(source: string) {
    this.#letters = Array.from(source)
  }

  expectEnd(): void {
    if (this.#at < this.#letters.length) throw new RegexFault(`unmatched "${this.#peek()}" at ${this.#at}`)
  }

  choice(): Pattern {
    const options = [this.#sequence()]
    while (this.#take('|')) options.push(this.#sequence())
    return options.length === 1 ? (options[0] ?? sequence()) : choice(...options)
  }

  #sequence(): Pattern {
    const items: Pattern[] = []
    for (;;) {
      const next = this.#peek()
      if (next === undefined || next === '|' || next === ')') return sequence(...items)
      items.push(this.#quantified(this.#atom()))
    }
  }

  #atom(): Pattern {
    const letter = this.#next()
    switch (letter) {
      case '^':
        return { kind: 'start' }
      case '$':
        return { kind: 'end' }
      case '.':
        return set(complement(lineEnds))
      case '(':
        return this.#group()
      case '[':
        return set(this.#class())
      case '\\':
        return this.#atomEscape()
      case '*':
      case '+':
      case '?':
      case '{':
        throw new RegexFault(`nothing to repeat at ${this.#at - 1}`)
      default:
        return set(codePoint(letter.codePointAt(0) ?? 0))
    }
  }

  #group(): Pattern {
    this.#depth += 1
    if (this.#depth > maxGroupDepth) throw new RegexFault(`groups are nested deeper than ${maxGroupDepth}`)
    if (this.#take('?')) {
      if (this.#peek() === '=' || this.#peek() === '!') throw new RegexFault('look-ahead cannot be enforced')
      if (this.#take('<')) {
        if (this.#peek() === '=' || this.#peek() === '!') throw new RegexFault('look-behind cannot be enforced')
        while (this.#next() !== '>');
      } else if (!this.#take(':')) {
        throw new RegexFault(`unknown kind of group at ${this.#at}`)
      }
    }
    const inside = this.choice()
    if (!this.#take(')')) throw new RegexFault('a group is not closed')
    this.#depth -= 1
    return inside
  }

  #quantified(item: Pattern): Pattern {
    const bounds = this.#quantifier()
    if (bounds === undefined) return item
    // Lazy or greedy, the same texts match.
    this.#take('?')
    if (item.kind === 'start' || item.kind === 'end') throw new RegexFault('an anchor is repeated')
    return repeat(item, bounds.min, bounds.max)
  }

  #quantifier(): { min: number; max: number | undefined } | undefined {
    if (this.#take('*')) return { min: 0, max: undefined }
    if (this.#take('+')) return { min: 1, max: undefined }
    if (this.#take('?')) return { min: 0, max: 1 }
    if (!this.#take('{')) return undefined
    const min = this.#integer()
    const max = this.#take(',') ? (this.#peek() === '}' ? undefined : this.#integer()) : min
    if (!this.#take('}') || (max !== undefined && max < min)) throw new RegexFault('a repetition {…} is malformed')
    return { min, max }
  }

  #integer(): number {
    let text = ''
    while (/^\d$/.test(this.#peek() ?? '')) text += this.#next()
    if (text === '' || text.length > 7) throw new RegexFault('a repetition {…} is malformed')
    return Number(text)
  }

  #atomEscape(): Pattern {
    const letter = this.#peek()
    if (letter === 'b' || letter === 'B') throw new RegexFault('word boundaries cannot be enforced')
    if (letter === 'k' || /^[1-9]$/.test(letter ?? '')) throw new RegexFault('back references cannot be enforced')
    return set(this.#escape())
  }

  /** What a backslash, already taken, and the following stand for. */
  #escape(): CodePoints {
    const letter = this.#next()
    const classes: Readonly<Record<string, CodePoints>> = {
      d: digits,
      D: complement(digits),
      w: wordLetters,
      W: complement(wordLetters),
      s: spaces,
      S: complement(spaces),
    }
    const named = classes[letter]
    if (named !== undefined) return named
    const control = { t: 9, n: 10, v: 11, f: 12, r: 13, '0': 0 }[letter]
    if (control !== undefined) return codePoint(control)
    if (letter === 'x') return codePoint(this.#hex(2))
    if (letter === 'u') return this.#unicode()
    if (letter === 'c') return codePoint((this.#next().codePointAt(0) ?? 0) % 32)
    if (letter === 'p' || letter === 'P') return this.#property(letter === 'P')
    if (/^[a-zA-Z0-9]$/.test(letter)) throw new RegexFault(`unknown escape \\${letter}`)
    return codePoint(letter.codePointAt(0) ?? 0)
  }

  #unicode(): CodePoints {
    if (this.#take('{')) {
      let text = ''
      while (this.#peek() !== '}') text += this.#next()
      this.#next()
      const value = /^[0-9a-fA-F]{1,6}$/.test(text) ? Number.parseInt(text, 16) : Infinity
      if (value > 0x10ffff) throw new RegexFault(`\\u{${text}} is no character`)
      return codePointRange(value, value)
    }
    const high = this.#hex(4)
    if (high < 0xd800 || high > 0xdbff || !(this.#take('\\') && this.#take('u'))) return codePointRange(high, high)
    return codePoint(0x10000 + (high - 0xd800) * 0x400 + (this.#hex(4) - 0xdc00))
  }

  #hex(length: number): number {
    let text = ''
    for (let index = 0; index < length; index += 1) text += this.#next()
    if (!/^[0-9a-fA-F]+$/.test(text)) throw new RegexFault(`"${text}" is no hexadecimal number`)
    return Number.parseInt(text, 16)
  }

  /** `\p{…}`: asked of the runtime for each code point, so that all of Unicode's properties are there. */
  #property(negated: boolean): CodePoints {
    if (!this.#take('{')) throw new RegexFault('\\p needs a property in braces')
    let name = ''
    while (this.#peek() !== '}') name += this.#next()
    this.#next()
    if (!/^[\w=]{1,64}$/.test(name)) throw new RegexFault(`\\p{${name}} is no property`)
    const points = pointsWithProperty(name)
    return negated ? complement(points) : points
  }

  #class(): CodePoints {
    const negated = this.#take('^')
    const parts: CodePoints[] = []
    while (!this.#take(']')) {
      const first = this.#classAtom()
      if (this.#peek() !== '-' || this.#letters[this.#at + 1] === ']') {
        parts.push(first)
        continue
      }
      this.#next()
      const last = this.#classAtom()
      const [from, to] = [single(first), single(last)]
      if (from === undefined || to === undefined || from > to) throw new RegexFault('a range in […] is out of order')
      parts.push(codePointRange(from, to))
    }
    const united = unite(parts)
    return negated ? complement(united) : intersect(united, anyCodePoint)
  }

  #classAtom(): CodePoints {
    const letter = this.#next()
    if (letter !== '\\') return codePoint(letter.codePointAt(0) ?? 0)
    if (this.#take('b')) return codePoint(8)
    return this.#take('-') ? codePoint(0x2d) : this.#escape()
  }

  #peek(): string | undefined {
    return this.#letters[this.#at]
  }

  #next(): string {
    const letter = this.#letters[this.#at]
    if (letter === undefined) throw new RegexFault('it ends too early')
    this.#at += 1
    return letter
  }

  #take(letter: string): boolean {
    if (this.#letters[this.#at] !== letter) return false
    this.#at += 1
    return true
  }
}

function single(points: CodePoints): number | undefined {
  return points.length === 2 && points[0] === points[1] ? points[0] : undefined
}

function pointsWithProperty(name: string): CodePoints {
  let test: RegExp
  try {
    test = new RegExp(`^\\p{${name}}$`, 'u')
  } catch {
    throw new RegexFault(`\\p{${name}} is no property`)
  }
  const ranges: number[] = []
  for (let value = 0; value <= 0x10ffff; value += 1) {
    if (value === 0xd800) value = 0xe000
    if (!test.test(String.fromCodePoint(value))) continue
    if (ranges.at(-1) === value - 1) ranges[ranges.length - 1] = value
    else ranges.push(value, value)
  }
  return ranges
}
