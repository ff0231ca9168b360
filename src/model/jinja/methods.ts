import { concat, derived, isText, plain, slice, type Text } from './marked-text.ts'
import {
  Dict,
  equals,
  isList,
  iterate,
  joinTexts,
  orElse,
  orUndefined,
  TemplateError,
  toKey,
  toText,
  type Arguments,
  type Callable,
  type Value,
} from './values.ts'

/** A method of Python's str, dict or list, bound to the value; undefined where there is none of that name. */
export function methodOf(value: Value, name: string): Callable | undefined {
  if (isText(value)) return bind(textMethods[name], value)
  if (value instanceof Dict) return bind(dictMethods[name], value)
  if (isList(value)) return bind(listMethods[name], value)
  return undefined
}

type Method<Self> = (self: Self, args: Arguments) => Value

function bind<Self>(method: Method<Self> | undefined, self: Self): Callable | undefined {
  return method === undefined ? undefined : (args) => method(self, args)
}

/** White space as Python strips it. */
const spaces =
  ' \t\n\r\v\f\u001c\u001d\u001e\u001f\u0085\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000'

export function strip(text: Text, characters: string | undefined, left: boolean, right: boolean): Text {
  const whole = plain(text)
  const stripped = characters ?? spaces
  let [start, end] = [0, whole.length]
  while (left && start < end && stripped.includes(whole[start] as string)) start += 1
  while (right && end > start && stripped.includes(whole[end - 1] as string)) end -= 1
  return slice(text, start, end)
}

export function replaceText(text: Text, old: string, fresh: Text, count: number): Text {
  const whole = plain(text)
  const pieces: Text[] = []
  let at = 0
  for (let left = count < 0 ? Infinity : count; left > 0; left -= 1) {
    const found = whole.indexOf(old, at + (old === '' && pieces.length > 0 ? 1 : 0))
    if (found < 0) break
    pieces.push(slice(text, at, found), fresh)
    at = found + old.length
  }
  return pieces.length === 0 ? text : concat(...pieces, slice(text, at, whole.length))
}

function split(text: Text, { positional, named }: Arguments, fromRight: boolean): Value {
  const whole = plain(text)
  const separator = positional[0] ?? named.get('sep') ?? null
  const most = Number(positional[1] ?? named.get('maxsplit') ?? -1)
  const cuts = separator === null ? spaceRuns(whole) : occurrences(whole, plain(textArgument(separator)), fromRight)
  const kept = most < 0 ? cuts : fromRight ? cuts.slice(Math.max(0, cuts.length - most)) : cuts.slice(0, most)
  const pieces: Text[] = []
  let at = 0
  for (const [start, end] of kept) {
    pieces.push(slice(text, at, start))
    at = end
  }
  pieces.push(slice(text, at, whole.length))
  if (separator !== null) return pieces
  return pieces
    .map((piece, index) => (index === pieces.length - 1 ? strip(piece, undefined, true, most < 0) : piece))
    .filter((piece) => plain(piece) !== '')
}

function spaceRuns(text: string): (readonly [number, number])[] {
  const lead = text.length - text.trimStart().length
  return [...text.matchAll(/\s+/g)]
    .map(({ 0: run, index }) => [index, index + run.length] as const)
    .filter(([start]) => start >= lead)
}

function occurrences(text: string, part: string, fromRight: boolean): (readonly [number, number])[] {
  if (part === '') throw new TemplateError('split() is given an empty separator')
  const found: (readonly [number, number])[] = []
  if (fromRight) {
    for (let at = text.lastIndexOf(part); at >= 0; at = at === 0 ? -1 : text.lastIndexOf(part, at - part.length)) {
      found.unshift([at, at + part.length])
      if (at < part.length) break
    }
    return found
  }
  for (let at = text.indexOf(part); at >= 0; at = text.indexOf(part, at + part.length))
    found.push([at, at + part.length])
  return found
}

function textArgument(value: Value | undefined): Text {
  if (value !== undefined && isText(value)) return value
  throw new TemplateError('a string method needs a string')
}

const characters = ({ positional: [value] }: Arguments): string | undefined =>
  value === undefined || value === null ? undefined : plain(textArgument(value))

const anyOf = (value: Value | undefined, test: (part: string) => boolean): boolean =>
  (value !== undefined && isList(value) ? value : [value]).some((part) => test(plain(textArgument(part))))

/** `"{} is {name}"` with its arguments; `{:…}` specifications are not honoured. */
function format(text: Text, { positional, named }: Arguments): Text {
  const whole = plain(text)
  const pieces: Text[] = []
  let [at, next] = [0, 0]
  for (const { 0: field, 1: name, index } of whole.matchAll(/\{\{|\}\}|\{([^{}]*)\}/g)) {
    pieces.push(slice(text, at, index))
    at = index + field.length
    if (name === undefined) {
      pieces.push(field.slice(1))
      continue
    }
    const key = name.replace(/[!:].*$/s, '')
    const value = key === '' ? positional[next++] : /^\d+$/.test(key) ? positional[Number(key)] : named.get(key)
    if (value === undefined) throw new TemplateError(`format() is given no value for '{${name}}'`)
    pieces.push(toText(value))
  }
  return concat(...pieces, slice(text, at, whole.length))
}

const capitalize = (text: string): string => text.slice(0, 1).toUpperCase() + text.slice(1).toLowerCase()

const textMethods: Readonly<Record<string, Method<Text>>> = {
  __proto__: null as never,
  upper: (text) => derived(plain(text).toUpperCase(), text),
  lower: (text) => derived(plain(text).toLowerCase(), text),
  capitalize: (text) => derived(capitalize(plain(text)), text),
  title: (text) => derived(plain(text).replace(/\p{L}+/gu, capitalize), text),
  strip: (text, args) => strip(text, characters(args), true, true),
  lstrip: (text, args) => strip(text, characters(args), true, false),
  rstrip: (text, args) => strip(text, characters(args), false, true),
  startswith: (text, { positional }) => anyOf(positional[0], (part) => plain(text).startsWith(part)),
  endswith: (text, { positional }) => anyOf(positional[0], (part) => plain(text).endsWith(part)),
  split: (text, args) => split(text, args, false),
  rsplit: (text, args) => split(text, args, true),
  splitlines: (text) => {
    const lines = iterate(split(text, { positional: ['\n'], named: new Map() }, false))
    return plain(text).endsWith('\n') || plain(text) === '' ? lines.slice(0, -1) : lines
  },
  replace: (text, { positional, named }) =>
    replaceText(
      text,
      plain(textArgument(positional[0])),
      textArgument(positional[1]),
      Number(positional[2] ?? named.get('count') ?? -1),
    ),
  format,
  join: (text, { positional }) => joinTexts(iterate(positional[0] ?? []).map(textArgument), text),
  find: (text, { positional }) => plain(text).indexOf(plain(textArgument(positional[0]))),
  rfind: (text, { positional }) => plain(text).lastIndexOf(plain(textArgument(positional[0]))),
  count: (text, { positional }) => occurrences(plain(text), plain(textArgument(positional[0])), false).length,
  removeprefix: (text, { positional: [value] }) => {
    const part = plain(textArgument(value))
    return plain(text).startsWith(part) ? slice(text, part.length, plain(text).length) : text
  },
  removesuffix: (text, { positional: [value] }) => {
    const part = plain(textArgument(value))
    return plain(text).endsWith(part) ? slice(text, 0, plain(text).length - part.length) : text
  },
  isdigit: (text) => /^\p{Nd}+$/u.test(plain(text)),
  isalpha: (text) => /^\p{L}+$/u.test(plain(text)),
  isalnum: (text) => /^[\p{L}\p{Nd}]+$/u.test(plain(text)),
  isspace: (text) => /^\s+$/.test(plain(text)),
  isupper: (text) => /\p{Lu}/u.test(plain(text)) && plain(text) === plain(text).toUpperCase(),
  islower: (text) => /\p{Ll}/u.test(plain(text)) && plain(text) === plain(text).toLowerCase(),
}

const dictMethods: Readonly<Record<string, Method<Dict>>> = {
  __proto__: null as never,
  get: (dict, { positional: [key, fallback], named }) =>
    orElse(dict.entries.get(toKey(key ?? null)), orElse(fallback, orElse(named.get('default'), null))),
  items: (dict) => dict.items(),
  keys: (dict) => dict.keys(),
  values: (dict) => [...dict.entries.values()],
  copy: (dict) => new Dict(dict.entries, dict.input),
  update: (dict, { positional: [other], named }) => {
    if (other instanceof Dict) for (const [key, value] of other.entries) dict.entries.set(key, value)
    for (const [key, value] of named) dict.entries.set(key, value)
    return null
  },
  pop: (dict, { positional: [key, fallback] }) => {
    const name = toKey(key ?? null)
    const value = orElse(dict.entries.get(name), fallback)
    if (value === undefined) throw new TemplateError(`pop() finds no key '${String(name)}'`)
    dict.entries.delete(name)
    return value
  },
}

const listMethods: Readonly<Record<string, Method<readonly Value[]>>> = {
  __proto__: null as never,
  append: (list, { positional: [value] }) => {
    ;(list as Value[]).push(orUndefined(value, 'value'))
    return null
  },
  pop: (list, { positional: [at] }) => {
    const [value] = (list as Value[]).splice(at === undefined ? -1 : Number(at), 1)
    if (value === undefined) throw new TemplateError('pop() from an empty list')
    return value
  },
  index: (list, { positional: [item] }) => list.findIndex((entry) => item !== undefined && equals(entry, item)),
}
