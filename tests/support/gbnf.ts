import type { Random } from '../../src/core/index.ts'

/**
 * An independent reader of the GBNF that the schema compiler writes (rules of alternatives; texts, sets and names,
 * each with `?` or `*`; no parentheses, no braces): derives random texts from it, and says whether a text fits.
 */
export interface GbnfText {
  /** A random text of the grammar. Prefers short derivations once `budget` rules are expanded. */
  sample(random: Random, budget?: number): string
  matches(text: string): boolean
}

type Repeat = '' | '?' | '*'
type Item =
  | { readonly kind: 'text'; readonly letters: readonly number[]; readonly repeat: Repeat }
  | { readonly kind: 'set'; readonly ranges: readonly (readonly [number, number])[]; readonly repeat: Repeat }
  | { readonly kind: 'rule'; readonly name: string; readonly repeat: Repeat }
type Rules = ReadonlyMap<string, readonly (readonly Item[])[]>

export function readGbnf(gbnf: string): GbnfText {
  const rules: Rules = new Map(
    gbnf
      .trimEnd()
      .split('\n')
      .map((line) => {
        const border = line.indexOf(' ::= ')
        return [line.slice(0, border), readAlternatives(line.slice(border + 5))]
      }),
  )
  for (const alternatives of rules.values()) {
    for (const item of alternatives.flat()) {
      if (item.kind === 'rule' && !rules.has(item.name)) throw new Error(`No rule ${item.name}`)
    }
  }
  const depths = shortestDepths(rules)
  return {
    sample: (random, budget = 300) => sample(rules, depths, random, budget),
    matches: (text) => matches(rules, text),
  }
}

function readAlternatives(body: string): readonly (readonly Item[])[] {
  const alternatives: Item[][] = [[]]
  const symbol = /\s*(?:(\|)|"((?:\\.|[^"\\])*)"([?*]?)|\[((?:\\.|[^\]\\])*)\]([?*]?)|([a-zA-Z0-9-]+)([?*]?))/y
  while (symbol.lastIndex < body.length) {
    const at = symbol.lastIndex
    const match = symbol.exec(body)
    if (match === null) throw new Error(`Unreadable at ${at}: ${body.slice(at, at + 40)}`)
    const [, bar, literal, literalRepeat, inside, setRepeat, name, nameRepeat] = match
    if (bar !== undefined) alternatives.push([])
    else if (literal !== undefined) {
      if (literal !== '')
        alternatives.at(-1)?.push({
          kind: 'text',
          letters: readLetters(literal).map(({ value }) => value),
          repeat: literalRepeat as Repeat,
        })
    } else if (inside !== undefined)
      alternatives.at(-1)?.push({ kind: 'set', ranges: readRanges(inside), repeat: setRepeat as Repeat })
    else alternatives.at(-1)?.push({ kind: 'rule', name: name ?? '', repeat: nameRepeat as Repeat })
  }
  return alternatives
}

function readLetters(text: string): { value: number; escaped: boolean }[] {
  const letters: { value: number; escaped: boolean }[] = []
  for (const match of text.matchAll(/\\x(..)|\\u(....)|\\U(.{8})|\\(.)|(.)/gsu)) {
    const hex = match[1] ?? match[2] ?? match[3]
    const plain = match[4] ?? match[5] ?? ''
    letters.push({
      value: hex === undefined ? (plain.codePointAt(0) ?? 0) : Number.parseInt(hex, 16),
      escaped: match[5] === undefined,
    })
  }
  return letters
}

function readRanges(inside: string): readonly (readonly [number, number])[] {
  const letters = readLetters(inside)
  const ranges: [number, number][] = []
  for (let at = 0; at < letters.length; at += 1) {
    const first = letters[at]?.value ?? 0
    const dash = letters[at + 1]
    if (dash?.value === 0x2d && !dash.escaped && at + 2 < letters.length) {
      ranges.push([first, letters[at + 2]?.value ?? 0])
      at += 2
    } else ranges.push([first, first])
  }
  return ranges
}

/** How many rules the shortest derivation of each rule nests. */
function shortestDepths(rules: Rules): ReadonlyMap<string, number> {
  const depths = new Map<string, number>()
  for (let changed = true; changed;) {
    changed = false
    for (const [name, alternatives] of rules) {
      const least = Math.min(...alternatives.map((items) => depthOf(items, depths))) + 1
      if (least < (depths.get(name) ?? Infinity)) {
        depths.set(name, least)
        changed = true
      }
    }
  }
  return depths
}

function depthOf(items: readonly Item[], depths: ReadonlyMap<string, number>): number {
  return Math.max(
    0,
    ...items.map((item) => (item.kind === 'rule' && item.repeat === '' ? (depths.get(item.name) ?? Infinity) : 0)),
  )
}

function sample(rules: Rules, depths: ReadonlyMap<string, number>, random: Random, budget: number): string {
  let spent = 0
  const output: number[] = []
  // A stack instead of recursion: automata nest as deep as their text is long.
  const stack: Item[] = [{ kind: 'rule', name: 'root', repeat: '' }]
  for (let item = stack.pop(); item !== undefined; item = stack.pop()) {
    if (item.repeat !== '') {
      if (spent < budget && random() < 0.6) {
        if (item.repeat === '*') stack.push(item)
        stack.push({ ...item, repeat: '' })
      }
    } else if (item.kind === 'text') output.push(...item.letters)
    else if (item.kind === 'set') output.push(pick(item.ranges, random))
    else {
      spent += 1
      const alternatives = (rules.get(item.name) ?? []).map((items) => ({ items, depth: depthOf(items, depths) }))
      const least = Math.min(...alternatives.map(({ depth }) => depth))
      const possible = alternatives.filter(({ depth }) => (spent > budget ? depth === least : depth < Infinity))
      const chosen = possible[Math.floor(random() * possible.length)]
      if (chosen === undefined) throw new Error(`Rule ${item.name} has no finite text`)
      for (const next of chosen.items.toReversed()) stack.push(next)
    }
  }
  return String.fromCodePoint(...output)
}

function pick(ranges: readonly (readonly [number, number])[], random: Random): number {
  // Often a border, where mistakes are.
  const [first, last] = ranges[Math.floor(random() * ranges.length)] ?? [0, 0]
  const chance = random()
  return chance < 0.25 ? first : chance < 0.5 ? last : first + Math.floor(random() * (last - first + 1))
}

interface Stack {
  readonly item: Item
  /** Letters of a text that are matched already. */
  readonly at: number
  readonly below: Stack | undefined
}

/** Follows all derivations at once, as libllama does. */
function matches(rules: Rules, text: string): boolean {
  let tops = expand(rules, [{ item: { kind: 'rule', name: 'root', repeat: '' }, at: 0, below: undefined }])
  for (const letter of text) {
    const value = letter.codePointAt(0) ?? 0
    const next: (Stack | undefined)[] = []
    for (const top of tops.stacks) {
      const { item, at, below } = top
      if (item.kind === 'set' && item.ranges.some(([first, last]) => value >= first && value <= last)) next.push(below)
      if (item.kind === 'text' && item.letters[at] === value)
        next.push(at + 1 < item.letters.length ? { item, at: at + 1, below } : below)
    }
    tops = expand(rules, next)
  }
  return tops.ended
}

function expand(rules: Rules, from: readonly (Stack | undefined)[]): { stacks: readonly Stack[]; ended: boolean } {
  const stacks: Stack[] = []
  let ended = false
  const todo = [...from]
  const seen = new Map<Item, Set<string>>()
  while (todo.length > 0) {
    const top = todo.pop()
    if (top === undefined) {
      ended = true
      continue
    }
    const { item, at, below } = top
    const key = `${at}/${idOf(below)}`
    const keys = seen.get(item) ?? new Set()
    if (keys.has(key)) continue
    seen.set(item, keys.add(key))
    if (item.repeat !== '') {
      todo.push(below)
      const again = item.repeat === '*' ? top : below
      todo.push({ item: once(item), at: 0, below: again })
    } else if (item.kind === 'rule') {
      for (const items of rules.get(item.name) ?? []) {
        todo.push(items.reduceRight<Stack | undefined>((rest, next) => ({ item: next, at: 0, below: rest }), below))
      }
    } else stacks.push(top)
  }
  return { stacks, ended }
}

const single = new WeakMap<Item, Item>()
function once(item: Item): Item {
  const known = single.get(item) ?? { ...item, repeat: '' }
  single.set(item, known)
  return known
}

const ids = new WeakMap<Stack, number>()
let lastId = 0
function idOf(stack: Stack | undefined): number {
  if (stack === undefined) return 0
  const known = ids.get(stack)
  if (known !== undefined) return known
  ids.set(stack, (lastId += 1))
  return lastId
}
