import { limitError, TokenmillError } from '../../core/index.ts'
import type { Automaton } from './automaton.ts'
import { intersect, type CodePoints } from './code-points.ts'
import { choice, nothing, sequence, set, text, type Expression } from './expression.ts'

/**
 * Collects named rules and writes them in llama.cpp's GBNF (grammars/README.md there).
 *
 * libllama reads grammars with recursion on parentheses, turns `{0,n}` with n > 2,000 into "without end", and counts
 * repetitions by copying. So nothing here writes a parenthesis or a brace: whatever is nested becomes a rule, and
 * bounded repetition becomes rules that double.
 */
export class GrammarBuilder {
  readonly #rules = new Map<string, Expression | undefined>()
  readonly #shared = new Map<string, Expression>()
  readonly #names = new Map<string, number>()

  /** A name that no rule has yet, made from the hint. */
  reserve(hint: string): Expression & { kind: 'rule' } {
    const stem =
      hint
        .replace(/[^a-zA-Z0-9]+/g, '-')
        .replace(/^-+|-+$/g, '')
        .slice(0, 40) || 'r'
    const used = this.#names.get(stem) ?? 0
    this.#names.set(stem, used + 1)
    const name = used === 0 && stem !== 'root' ? stem : `${stem}-${used + 1}`
    this.#rules.set(name, undefined)
    return { kind: 'rule', name }
  }

  define(rule: { readonly name: string }, expression: Expression): void {
    this.#rules.set(rule.name, expression)
  }

  rule(hint: string, expression: Expression): Expression {
    if (expression.kind === 'rule') return expression
    const rule = this.reserve(hint)
    this.define(rule, expression)
    return rule
  }

  /** The rule made once under this key; `make` may refer to it by asking for it again. */
  shared(key: string, make: () => Expression): Expression {
    const known = this.#shared.get(key)
    if (known !== undefined) return known
    const rule = this.reserve(key)
    this.#shared.set(key, rule)
    try {
      this.define(rule, make())
    } catch (error) {
      // Asked for again, it fails again.
      this.#shared.delete(key)
      throw error
    }
    return rule
  }

  /** The texts of an automaton, each character written by `encode`: one rule a state. */
  automaton(hint: string, { states }: Automaton, encode: (points: CodePoints) => readonly Expression[]): Expression {
    const rules = states.map(() => this.reserve(hint))
    for (const [at, { accepts, edges }] of states.entries()) {
      const options = edges.flatMap((edge) => {
        const next = rules[edge.to]
        if (next === undefined) return []
        // A state that only ends needs no rule to go on with.
        const target = states[edge.to]
        const last = target?.accepts === true && target.edges.length === 0
        return encode(edge.set).map((letter) => (last ? letter : sequence(letter, next)))
      })
      const rule = rules[at]
      if (rule !== undefined) this.define(rule, { kind: 'choice', options: accepts ? [...options, nothing] : options })
    }
    return rules[0] ?? nothing
  }

  /**
   * The grammar with `root` as its start. Throws `limit_exceeded` beyond `maxGrammarBytes`, and `invalid_request`
   * where no finite text exists: a schema that contains itself without a way out.
   */
  write(root: Expression, maxBytes: number, param: string): string {
    const start = this.reserve('start')
    this.define(start, root)
    const writer = new GbnfWriter(this.#rules, maxBytes)
    if (!writer.isFinite(start)) {
      throw new TokenmillError('invalid_request', 'The schema allows no finite value: nothing can satisfy it.', {
        param,
      })
    }
    return writer.write(start.name)
  }
}

class GbnfWriter {
  readonly #rules: Map<string, Expression | undefined>
  readonly #maxBytes: number
  readonly #lines: string[] = []
  readonly #written = new Set<string>()
  /** Rules made while writing, by what they stand for, so that equal parts are written once. */
  readonly #made = new Map<string, string>()
  #todo: string[] = []
  #bytes = 0

  constructor(rules: ReadonlyMap<string, Expression | undefined>, maxBytes: number) {
    this.#rules = new Map(rules)
    this.#maxBytes = maxBytes
  }

  write(start: string): string {
    this.#line('root', this.#alternatives(this.#rules.get(start) ?? nothing))
    for (let name = this.#todo.pop(); name !== undefined; name = this.#todo.pop()) {
      if (this.#written.has(name)) continue
      this.#written.add(name)
      const expression = this.#rules.get(name)
      if (expression !== undefined) this.#line(name, this.#alternatives(expression))
    }
    return `${this.#lines.join('\n')}\n`
  }

  /** Whether a finite text can be derived, and the rules without what can not: rules are finite once one of their alternatives is, to a fixed point. */
  isFinite(root: Expression): boolean {
    const finite = new Set<string>()
    const holds = (expression: Expression): boolean => {
      switch (expression.kind) {
        case 'text':
          return true
        case 'set':
          return expression.set.length > 0
        case 'sequence':
          return expression.items.every(holds)
        case 'choice':
          return expression.options.some(holds)
        case 'repeat':
          return expression.min === 0 || holds(expression.item)
        default:
          return finite.has(expression.name)
      }
    }
    // Walking to and fro settles chains of rules in few rounds, whichever way they point.
    const entries = [...this.#rules]
    for (let before = -1; before < finite.size;) {
      before = finite.size
      for (const [name, expression] of entries) {
        if (!finite.has(name) && expression !== undefined && holds(expression)) finite.add(name)
      }
      entries.reverse()
    }
    // Alternatives that never end would lead a model into them: they are dropped.
    const prune = (expression: Expression): Expression => {
      switch (expression.kind) {
        case 'sequence':
          return { kind: 'sequence', items: expression.items.map(prune) }
        case 'choice':
          return { kind: 'choice', options: expression.options.filter(holds).map(prune) }
        case 'repeat':
          return holds(expression.item) ? { ...expression, item: prune(expression.item) } : nothing
        default:
          return expression
      }
    }
    for (const [name, expression] of this.#rules) {
      if (expression !== undefined) this.#rules.set(name, prune(expression))
    }
    return holds(root)
  }

  #line(name: string, body: string): void {
    this.#bytes += name.length + body.length + 6
    if (this.#bytes > this.#maxBytes) {
      const limit = { name: 'maxGrammarBytes', maximum: this.#maxBytes, unit: 'bytes' }
      throw limitError(limit, this.#bytes, 'The grammar of the schema', 'Simplify the schema.')
    }
    this.#lines.push(`${name} ::= ${body}`)
  }

  #alternatives(expression: Expression): string {
    return expression.kind === 'choice'
      ? expression.options.map((option) => this.#items(option)).join(' | ')
      : this.#items(expression)
  }

  #items(expression: Expression): string {
    const parts = expression.kind === 'sequence' ? expression.items : [expression]
    const items = parts.map((item) => this.#item(item)).filter((item) => item !== '')
    return items.length === 0 ? '""' : items.join(' ')
  }

  /** One symbol, or several side by side; never an alternative. */
  #item(expression: Expression): string {
    switch (expression.kind) {
      case 'text':
        return expression.text === '' ? '' : quote(expression.text)
      case 'set':
        return writeSet(expression.set)
      case 'rule':
        this.#todo.push(expression.name)
        return expression.name
      case 'sequence':
        return expression.items
          .map((item) => this.#item(item))
          .filter((item) => item !== '')
          .join(' ')
      case 'choice':
        return expression.options.length === 1 ? this.#item(expression.options[0] ?? nothing) : this.#make(expression)
      default:
        return this.#repeat(this.#symbol(expression.item), expression.min, expression.max)
    }
  }

  /** One symbol that may be repeated. */
  #symbol(expression: Expression): string {
    return expression.kind === 'set' || expression.kind === 'rule' ? this.#item(expression) : this.#make(expression)
  }

  #repeat(symbol: string, min: number, max: number | undefined): string {
    const least = this.#exactly(symbol, min)
    const rest = max === undefined ? `${symbol}*` : this.#atMost(symbol, max - min)
    return [least, rest].filter((part) => part !== '').join(' ')
  }

  #exactly(symbol: string, times: number): string {
    if (times <= 4) return Array.from({ length: times }, () => symbol).join(' ')
    const half = Math.floor(times / 2)
    const twice = this.#named(`${symbol}{${half}}`, () => this.#exactly(symbol, half))
    return times % 2 === 0 ? `${twice} ${twice}` : `${twice} ${twice} ${symbol}`
  }

  /**
   * Up to n times. A chain for few: each rule takes one more or ends. For many, either a full half and up to the
   * rest of it, or less than the half: every count has one derivation, and n takes about log n rules.
   */
  #atMost(symbol: string, times: number): string {
    if (times <= 0) return ''
    if (times === 1) return `${symbol}?`
    return this.#named(`${symbol}{0,${times}}`, () => {
      if (times <= longestChain) return `${symbol} ${this.#atMost(symbol, times - 1)} | ""`
      const half = Math.ceil(times / 2)
      return `${this.#exactly(symbol, half)} ${this.#atMost(symbol, times - half)} | ${this.#atMost(symbol, half - 1)}`
    })
  }

  #make(expression: Expression): string {
    const body = this.#alternatives(expression)
    return this.#named(body, () => body)
  }

  /** The rule that stands for `key`, made once. */
  #named(key: string, body: () => string): string {
    const known = this.#made.get(key)
    if (known !== undefined) return known
    const name = `x-${this.#made.size + 1}`
    this.#made.set(key, name)
    this.#line(name, body())
    return name
  }
}

/** Longest chain of rules that counts a repetition one by one; beyond, counting by halves costs fewer rules. */
const longestChain = 64

/** Characters of a JSON string: as they are, or escaped where JSON demands it. */
export function encodeJsonLetters(points: CodePoints): readonly Expression[] {
  const plain = intersect(points, plainJsonLetters)
  const escaped: Expression[] = []
  for (const value of escapedJsonLetters) {
    if (intersect(points, [value, value]).length > 0) {
      escaped.push(text(JSON.stringify(String.fromCodePoint(value)).slice(1, -1)))
    }
  }
  const control = escaped.length > 8 ? [choice(...escaped)] : escaped
  return plain.length === 0 ? control : [set(plain), ...control]
}

const plainJsonLetters: CodePoints = [0x20, 0x21, 0x23, 0x5b, 0x5d, 0x7e, 0x80, 0xd7ff, 0xe000, 0x10ffff]
/** The quote, the backslash and the control characters, in the order in which they are tried. */
const escapedJsonLetters: readonly number[] = [0x22, 0x5c, ...Array.from({ length: 32 }, (_, value) => value)]

export function encodePlainLetters(points: CodePoints): readonly Expression[] {
  return [set(points)]
}

function quote(letters: string): string {
  return `"${Array.from(letters, (letter) => {
    const value = letter.codePointAt(0) ?? 0
    if (letter === '"' || letter === '\\') return `\\${letter}`
    return value >= 0x20 && value < 0x7f ? letter : escapePoint(value)
  }).join('')}"`
}

function writeSet(points: CodePoints): string {
  let inside = ''
  for (let at = 0; at < points.length; at += 2) {
    const first = points[at] ?? 0
    const last = points[at + 1] ?? 0
    inside += classLetter(first)
    if (last > first) inside += (last === first + 1 ? '' : '-') + classLetter(last)
  }
  return `[${inside}]`
}

function classLetter(value: number): string {
  const letter = String.fromCodePoint(value)
  return /^[a-zA-Z0-9 _.,:;!?@+*/=~(){}<>|&%$#'`]$/.test(letter) ? letter : escapePoint(value)
}

function escapePoint(value: number): string {
  if (value <= 0xff) return `\\x${value.toString(16).padStart(2, '0')}`
  return value <= 0xffff ? `\\u${value.toString(16).padStart(4, '0')}` : `\\U${value.toString(16).padStart(8, '0')}`
}
