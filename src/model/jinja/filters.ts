import { concat, derived, isText, plain, slice, type Text } from './marked-text.ts'
import { parseJson, toJson } from './json.ts'
import { methodOf, replaceText, strip } from './methods.ts'
import { compare, itemAt, lengthOf } from './operators.ts'
import { testOf } from './tests.ts'
import {
  Dict,
  equals,
  isList,
  isTrue,
  iterate,
  joinTexts,
  orElse,
  orUndefined,
  Namespace,
  TemplateError,
  toText,
  tuple,
  typeName,
  Undefined,
  type Arguments,
  type Value,
} from './values.ts'

type Filter = (value: Value, args: Arguments) => Value

/** Applies one of jinja2's filters, or `from_json`, which some templates know. Throws for one that is none. */
export function applyFilter(name: string, value: Value, args: Arguments): Value {
  const filter = filters[name]
  if (filter === undefined) throw new TemplateError(`'${name}' is no filter`)
  return filter(value, args)
}

/** An argument by position or by name. */
const argument = ({ positional, named }: Arguments, at: number, name: string): Value | undefined =>
  orElse(positional[at], named.get(name))

const noArguments: Arguments = { positional: [], named: new Map() }

const onText =
  (method: string): Filter =>
  (value) =>
    methodOf(toText(value), method)?.(noArguments) ?? ''

const length: Filter = (value) => {
  if (value instanceof Undefined) return 0
  if (isText(value) || isList(value)) return lengthOf(value)
  if (value instanceof Dict) return value.entries.size
  throw new TemplateError(`${typeName(value)} has no length`)
}

const orDefault: Filter = (value, args) => {
  const falsy = isTrue(argument(args, 1, 'boolean') ?? false)
  return value instanceof Undefined || (falsy && !isTrue(value))
    ? orElse(argument(args, 0, 'default_value'), '')
    : value
}

/** The value at a path of attributes, items and indexes: `function.name`. */
export function attributeAt(value: Value, path: Value | undefined): Value {
  if (typeof path === 'number') return itemAt(value, path)
  let found = value
  for (const name of plain(toText(path ?? null)).split('.')) {
    if (found instanceof Dict) found = orUndefined(found.entries.get(name), name)
    else if (found instanceof Namespace) found = orUndefined(found.attributes.get(name), name)
    else found = /^\d+$/.test(name) && isList(found) ? itemAt(found, Number(name)) : new Undefined(name)
  }
  return found
}

/** `select`, `reject` (`attribute` undefined) and their `attr` forms: items that pass the test, or that do not. */
const selecting =
  (byAttribute: boolean, passing: boolean): Filter =>
  (value, { positional }) => {
    const [test, ...rest] = byAttribute ? positional.slice(1) : positional
    const passes = test === undefined ? isTrue : testOf(plain(toText(test)))
    // As in jinja2, None has no items here.
    return (isTrue(value) ? iterate(value) : []).filter(
      (item) => passes(byAttribute ? attributeAt(item, positional[0]) : item, rest) === passing,
    )
  }

const map: Filter = (value, { positional, named }) => {
  const attribute = named.get('attribute')
  if (attribute !== undefined) {
    return iterate(value).map((item) => orDefault(attributeAt(item, attribute), pick(named.get('default'))))
  }
  const [name, ...rest] = positional
  return iterate(value).map((item) => applyFilter(plain(toText(name ?? null)), item, { positional: rest, named }))
}

const pick = (fallback: Value | undefined): Arguments => ({
  positional: [orUndefined(fallback, 'value')],
  named: new Map(),
})

/** The order of `sort`, `dictsort`, `min`, `max`, `unique`: texts without their case unless it counts. */
const folded = (value: Value, caseSensitive: boolean): Value =>
  isText(value) && !caseSensitive ? plain(value).toLowerCase() : value

const sort: Filter = (value, args) => {
  const caseSensitive = isTrue(argument(args, 1, 'case_sensitive') ?? false)
  const attribute = argument(args, 2, 'attribute')
  const keyOf = (item: Value): Value =>
    folded(attribute === undefined ? item : attributeAt(item, attribute), caseSensitive)
  const sorted = [...iterate(value)].sort((one, other) => compare(keyOf(one), keyOf(other)))
  return isTrue(argument(args, 0, 'reverse') ?? false) ? sorted.reverse() : sorted
}

const dictsort: Filter = (value, args) => {
  if (!(value instanceof Dict)) throw new TemplateError(`dictsort needs a dict, not ${typeName(value)}`)
  const caseSensitive = isTrue(argument(args, 0, 'case_sensitive') ?? false)
  const at = plain(toText(argument(args, 1, 'by') ?? 'key')) === 'value' ? 1 : 0
  const keyOf = (item: Value): Value => folded(itemAt(item, at), caseSensitive)
  const sorted = value.items().sort((one, other) => compare(keyOf(one), keyOf(other)))
  return isTrue(argument(args, 2, 'reverse') ?? false) ? sorted.reverse() : sorted
}

const unique: Filter = (value, args) => {
  const attribute = argument(args, 1, 'attribute')
  const caseSensitive = isTrue(argument(args, 0, 'case_sensitive') ?? false)
  const seen: Value[] = []
  return iterate(value).filter((item) => {
    const key = folded(attribute === undefined ? item : attributeAt(item, attribute), caseSensitive)
    if (seen.some((other) => equals(other, key))) return false
    seen.push(key)
    return true
  })
}

const extreme =
  (sign: number): Filter =>
  (value) =>
    iterate(value).reduce<Value>(
      (best, item) => (best instanceof Undefined || sign * compare(item, best) > 0 ? item : best),
      new Undefined('item'),
    )

const indent: Filter = (value, args) => {
  const width = argument(args, 0, 'width') ?? 4
  const pad = isText(width) ? width : ' '.repeat(Number(width))
  const first = isTrue(argument(args, 1, 'first') ?? false)
  const blank = isTrue(argument(args, 2, 'blank') ?? false)
  const text = toText(value)
  const lines: Text[] = []
  let start = 0
  for (const line of plain(text).split('\n')) {
    const piece = slice(text, start, start + line.length)
    const padded = lines.length === 0 ? first : blank || line !== ''
    lines.push(padded ? concat(pad, piece) : piece)
    start += line.length + 1
  }
  return joinTexts(lines, '\n')
}

const tojson: Filter = (value, args) => {
  const levels = argument(args, 1, 'indent')
  const indented = levels !== undefined && levels !== null && levels !== false
  const given = args.named.get('separators')
  return toJson(value, {
    indent: indented ? (isText(levels) ? plain(levels) : ' '.repeat(Number(levels))) : undefined,
    ensureAscii: isTrue(argument(args, 0, 'ensure_ascii') ?? false),
    sortKeys: isTrue(args.named.get('sort_keys') ?? false),
    separators:
      given !== undefined && isList(given)
        ? [plain(toText(itemAt(given, 0))), plain(toText(itemAt(given, 1)))]
        : [indented ? ',' : ', ', ': '],
  })
}

const toNumber = (value: Value, whole: boolean): number | undefined => {
  const number = isText(value) ? (plain(value).trim() === '' ? NaN : Number(plain(value))) : Number(value)
  if (typeof value === 'object' && value !== null && !isText(value)) return undefined
  return Number.isFinite(number) ? (whole ? Math.trunc(number) : number) : undefined
}

const sum: Filter = (value, args) => {
  const attribute = argument(args, 0, 'attribute')
  return iterate(value).reduce<number>(
    (total, item) => total + Number(attribute === undefined ? item : attributeAt(item, attribute)),
    Number(argument(args, 1, 'start') ?? 0),
  )
}

const escapes: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&#34;', "'": '&#39;' }
const escape: Filter = (value) => {
  const text = toText(value)
  return derived(
    plain(text).replace(/[&<>"']/g, (character) => escapes[character] as string),
    text,
  )
}

const filters: Readonly<Record<string, Filter | undefined>> = {
  __proto__: null as never,
  default: orDefault,
  d: orDefault,
  tojson,
  from_json: (value) => parseJson(toText(value)),
  trim: (value, args) => {
    const characters = argument(args, 0, 'chars')
    return strip(toText(value), characters === undefined ? undefined : plain(toText(characters)), true, true)
  },
  length,
  count: length,
  string: toText,
  safe: (value) => value,
  lower: onText('lower'),
  upper: onText('upper'),
  capitalize: onText('capitalize'),
  title: onText('title'),
  escape,
  e: escape,
  replace: (value, args) =>
    replaceText(
      toText(value),
      plain(toText(argument(args, 0, 'old') ?? '')),
      toText(argument(args, 1, 'new') ?? ''),
      Number(argument(args, 2, 'count') ?? -1),
    ),
  indent,
  join: (value, args) => {
    const attribute = argument(args, 1, 'attribute')
    const items = iterate(value).map((item) => toText(attribute === undefined ? item : attributeAt(item, attribute)))
    return joinTexts(items, toText(argument(args, 0, 'd') ?? ''))
  },
  list: (value) => [...iterate(value)],
  first: (value) => orUndefined(iterate(value)[0], 'first item'),
  last: (value) => orUndefined(iterate(value).at(-1), 'last item'),
  reverse: (value) =>
    isText(value) ? concat(...(iterate(value).toReversed() as Text[])) : iterate(value).toReversed(),
  items: (value) => {
    if (value instanceof Undefined) return []
    if (value instanceof Dict) return value.items()
    throw new TemplateError(`${typeName(value)} has no items`)
  },
  dictsort,
  sort,
  unique,
  min: extreme(-1),
  max: extreme(1),
  sum,
  map,
  select: selecting(false, true),
  reject: selecting(false, false),
  selectattr: selecting(true, true),
  rejectattr: selecting(true, false),
  attr: (value, { positional: [name] }) => attributeAt(value, name),
  int: (value, args) => toNumber(value, true) ?? orElse(argument(args, 0, 'default'), 0),
  float: (value, args) => toNumber(value, false) ?? orElse(argument(args, 0, 'default'), 0),
  abs: (value) => Math.abs(Number(value)),
  round: (value, args) => {
    const scale = 10 ** Number(argument(args, 0, 'precision') ?? 0)
    return Math.round(Number(value) * scale) / scale
  },
  batch: (value, args) => {
    const items = iterate(value)
    const size = Math.max(1, Number(argument(args, 0, 'linecount') ?? 1))
    return Array.from({ length: Math.ceil(items.length / size) }, (_, at) => items.slice(at * size, (at + 1) * size))
  },
  groupby: (value, args) => {
    const attribute = argument(args, 0, 'attribute')
    const keys = iterate(
      unique(
        iterate(value).map((item) => attributeAt(item, attribute)),
        noArguments,
      ),
    )
    return keys.map((key) => tuple([key, iterate(value).filter((item) => equals(attributeAt(item, attribute), key))]))
  },
}
