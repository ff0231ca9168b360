import { concat, derived, isText, markInput, MarkedText, plain, type Text } from './marked-text.ts'

/** A value of a template, as Python's jinja2 has it. Lists are arrays; `null` is None. */
export type Value = Text | number | boolean | null | Undefined | readonly Value[] | Dict | Namespace | Loop | Callable

export type Key = string | number | boolean

/** Positional and keyword arguments. */
export interface Arguments {
  readonly positional: readonly Value[]
  readonly named: ReadonlyMap<string, Value>
}

export type Callable = (args: Arguments) => Value

/** A name, key or attribute that is not there. Prints as nothing, counts as false, has no attributes. */
export class Undefined {
  readonly name: string

  constructor(name: string) {
    this.name = name
  }
}

export class Dict {
  readonly entries: Map<Key, Value>
  /** Whether its keys came from the client. */
  readonly input: boolean

  constructor(entries: Iterable<readonly [Key, Value]> = [], input = false) {
    this.entries = new Map(entries)
    this.input = input
  }

  keys(): Value[] {
    return [...this.entries.keys()].map((key) => this.#keyValue(key))
  }

  items(): Value[] {
    return [...this.entries].map(([key, value]) => tuple([this.#keyValue(key), value]))
  }

  #keyValue(key: Key): Value {
    return this.input && typeof key === 'string' ? markInput(key) : key
  }
}

/** What `namespace()` gives: attributes that can be set, no methods. */
export class Namespace {
  readonly attributes = new Map<string, Value>()
}

/** A value that may be missing: Undefined then. None is a value. */
export function orUndefined(value: Value | undefined, name: string): Value {
  return value === undefined ? new Undefined(name) : value
}

/** The value, or the other where there is none. None is a value. */
export function orElse<Other>(value: Value | undefined, other: Other): Value | Other {
  return value === undefined ? other : value
}

/** `loop` inside a `for`: where the loop stands. Its attributes are made when they are asked for; most loops ask for none. */
export class Loop {
  readonly #items: readonly Value[]
  readonly #at: number

  constructor(items: readonly Value[], at: number) {
    this.#items = items
    this.#at = at
  }

  get(name: string): Value {
    const [items, at] = [this.#items, this.#at]
    switch (name) {
      case 'index':
        return at + 1
      case 'index0':
        return at
      case 'revindex':
        return items.length - at
      case 'revindex0':
        return items.length - at - 1
      case 'first':
        return at === 0
      case 'last':
        return at === items.length - 1
      case 'length':
        return items.length
      case 'previtem':
        return orUndefined(items[at - 1], 'loop.previtem')
      case 'nextitem':
        return orUndefined(items[at + 1], 'loop.nextitem')
      case 'cycle':
        return ({ positional }) => orUndefined(positional[at % positional.length], 'loop.cycle')
      default:
        return new Undefined(`loop.${name}`)
    }
  }
}

/** What a template or its input does wrong. */
export class TemplateError extends Error {}

const tuples = new WeakSet<readonly Value[]>()

/** A list that prints as a tuple. */
export function tuple(values: readonly Value[]): readonly Value[] {
  tuples.add(values)
  return values
}

export function isList(value: Value): value is readonly Value[] {
  return Array.isArray(value)
}

/** JSON-like data as values. `input`: its texts and keys are the client's. Functions stay callable with plain data. */
export function toValue(data: unknown, input: boolean): Value {
  if (typeof data === 'string') return input ? markInput(data) : data
  if (typeof data === 'number' || typeof data === 'boolean' || data === null) return data
  if (data === undefined) return new Undefined('value')
  if (typeof data === 'function') return data
  if (Array.isArray(data)) return data.map((item) => toValue(item, input))
  const entries = Object.entries(data).filter(([, value]) => value !== undefined)
  return new Dict(
    entries.map(([key, value]) => [key, toValue(value, input)] as const),
    input,
  )
}

export function isTrue(value: Value): boolean {
  if (value instanceof Undefined) return false
  if (isText(value)) return plain(value) !== ''
  if (isList(value)) return value.length > 0
  if (value instanceof Dict) return value.entries.size > 0
  return Boolean(value)
}

/** Python's `==`: by value, true equal to 1. */
export function equals(one: Value, other: Value): boolean {
  if (isText(one) || isText(other)) return isText(one) && isText(other) && plain(one) === plain(other)
  if (isList(one) && isList(other)) {
    return one.length === other.length && one.every((item, at) => equals(item, other[at] as Value))
  }
  if (one instanceof Dict && other instanceof Dict) {
    if (one.entries.size !== other.entries.size) return false
    return [...one.entries].every(([key, value]) => {
      const same = other.entries.get(key)
      return same !== undefined && equals(value, same)
    })
  }
  if (one instanceof Undefined && other instanceof Undefined) return true
  if (typeof one === 'boolean' && typeof other === 'number') return Number(one) === other
  if (typeof one === 'number' && typeof other === 'boolean') return one === Number(other)
  return one === other
}

export function toKey(value: Value): Key {
  if (isText(value)) return plain(value)
  if (typeof value === 'number' || typeof value === 'boolean') return value
  throw new TemplateError(`${typeName(value)} cannot be a key`)
}

/** The items of a list, the keys of a dict, the characters of a text. */
export function iterate(value: Value): readonly Value[] {
  if (isList(value)) return value
  if (value instanceof Dict) return value.keys()
  if (value instanceof Undefined) return []
  if (isText(value)) return Array.from(plain(value), (character) => derived(character, value))
  throw new TemplateError(`${typeName(value)} cannot be iterated over`)
}

/** Python's `str()`. */
export function toText(value: Value): Text {
  if (isText(value)) return value
  if (value instanceof Undefined) return ''
  return represent(value)
}

/** Python's `repr()`. */
function represent(value: Value): Text {
  if (value === null) return 'None'
  if (typeof value === 'boolean') return value ? 'True' : 'False'
  if (typeof value === 'number') return String(value)
  if (isText(value)) return derived(quote(plain(value)), value)
  if (isList(value)) {
    const items = joinTexts(value.map(represent), ', ')
    if (!tuples.has(value)) return concat('[', items, ']')
    return concat('(', items, value.length === 1 ? ',)' : ')')
  }
  if (value instanceof Dict) {
    const entries = value.items().map((item) => {
      const [key, entry] = item as readonly [Value, Value]
      return concat(represent(key), ': ', represent(entry))
    })
    return concat('{', joinTexts(entries, ', '), '}')
  }
  return value instanceof Undefined ? 'Undefined' : `<${typeName(value)}>`
}

export function joinTexts(texts: readonly Text[], separator: Text): Text {
  return concat(...texts.flatMap((text, at) => (at === 0 ? [text] : [separator, text])))
}

function quote(text: string): string {
  const mark = text.includes("'") && !text.includes('"') ? '"' : "'"
  const escapes: Readonly<Record<string, string>> = {
    '\n': '\\n',
    '\r': '\\r',
    '\t': '\\t',
    '\\': '\\\\',
    [mark]: `\\${mark}`,
  }
  return mark + text.replace(/[\n\r\t\\'"]/g, (character) => escapes[character] ?? character) + mark
}

export function typeName(value: Value): string {
  if (value === null) return 'None'
  if (value instanceof Undefined) return `'${value.name}', which is undefined,`
  if (typeof value === 'boolean') return 'a boolean'
  if (typeof value === 'number') return 'a number'
  if (value instanceof MarkedText || typeof value === 'string') return 'a string'
  if (value instanceof Dict) return 'a dict'
  if (value instanceof Namespace) return 'a namespace'
  if (value instanceof Loop) return 'a loop'
  return isList(value) ? 'a list' : 'a function'
}
