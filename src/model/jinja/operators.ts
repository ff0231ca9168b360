import { concat, isText, plain, slice, type Text } from './marked-text.ts'
import {
  Dict,
  equals,
  isList,
  iterate,
  orUndefined,
  TemplateError,
  toKey,
  toText,
  tuple,
  typeName,
  Undefined,
  type Value,
} from './values.ts'

/** A binary operator but `and` and `or`, which do not always evaluate both sides. Throws where Python would. */
export function operate(operator: string, left: Value, right: Value): Value {
  switch (operator) {
    case '==':
      return equals(left, right)
    case '!=':
      return !equals(left, right)
    case '~':
      return concat(toText(left), toText(right))
    case 'in':
      return contains(right, left)
    case 'not in':
      return !contains(right, left)
    case '<':
      return compare(left, right) < 0
    case '>':
      return compare(left, right) > 0
    case '<=':
      return compare(left, right) <= 0
    case '>=':
      return compare(left, right) >= 0
  }
  if (operator === '+' && isText(left) && isText(right)) return concat(left, right)
  if (operator === '+' && isList(left) && isList(right)) return [...left, ...right]
  if (operator === '*' && isText(left) && isNumeric(right)) return concat(...repeat(left, right))
  if (operator === '*' && isList(left) && isNumeric(right)) return repeat(left, right).flat()
  if (isNumeric(left) && isNumeric(right)) return calculate(operator, Number(left), Number(right))
  throw new TemplateError(`'${operator}' does not work between ${typeName(left)} and ${typeName(right)}`)
}

/** Most repetitions by `*`: templates draw lines with it. A model file's template shall not fill the memory. */
const mostRepetitions = 100_000

function repeat<Item>(item: Item, count: number | boolean): Item[] {
  if (Number(count) > mostRepetitions) throw new TemplateError(`'*' repeats at most ${mostRepetitions} times`)
  return Array.from({ length: Math.max(0, Number(count)) }, () => item)
}

function calculate(operator: string, left: number, right: number): number {
  switch (operator) {
    case '+':
      return left + right
    case '-':
      return left - right
    case '*':
      return left * right
    case '**':
      return left ** right
  }
  if (right === 0) throw new TemplateError('division by zero')
  if (operator === '/') return left / right
  if (operator === '//') return Math.floor(left / right)
  if (operator === '%') return left - right * Math.floor(left / right)
  throw new TemplateError(`'${operator}' is no operator`)
}

function isNumeric(value: Value): value is number | boolean {
  return typeof value === 'number' || typeof value === 'boolean'
}

/** Is `item` in the list, the dict's keys or the text? */
export function contains(whole: Value, item: Value): boolean {
  if (isText(whole)) {
    if (isText(item)) return plain(whole).includes(plain(item))
    throw new TemplateError(`'in' a string needs a string, not ${typeName(item)}`)
  }
  if (isList(whole)) return whole.some((entry) => equals(entry, item))
  if (whole instanceof Dict) return whole.entries.has(toKey(item))
  if (whole instanceof Undefined) return false
  throw new TemplateError(`'in' does not work on ${typeName(whole)}`)
}

/** Negative, zero or positive. Numbers with numbers, texts with texts, lists item by item. */
export function compare(left: Value, right: Value): number {
  if (isText(left) && isText(right)) return plain(left) < plain(right) ? -1 : plain(left) > plain(right) ? 1 : 0
  if (isNumeric(left) && isNumeric(right)) return Number(left) - Number(right)
  if (isList(left) && isList(right)) {
    for (const [at, item] of left.entries()) {
      if (at >= right.length) return 1
      const order = compare(item, right[at] as Value)
      if (order !== 0) return order
    }
    return left.length - right.length
  }
  throw new TemplateError(`${typeName(left)} and ${typeName(right)} have no order`)
}

/** Python's `value[start:stop:step]` on a list or a text. */
export function sliceValue(value: Value, start: Value, stop: Value, step: Value): Value {
  const stride = isNumeric(step) ? Number(step) : 1
  if (stride === 0) throw new TemplateError('a slice step cannot be zero')
  const length = lengthOf(value)
  const clamp = (bound: Value, absent: number): number => {
    if (!isNumeric(bound)) return absent
    const at = Number(bound) < 0 ? Number(bound) + length : Number(bound)
    return stride > 0 ? Math.min(Math.max(at, 0), length) : Math.min(Math.max(at, -1), length - 1)
  }
  const from = clamp(start, stride > 0 ? 0 : length - 1)
  const to = clamp(stop, stride > 0 ? length : -1)
  if (isText(value) && stride === 1) return slice(value, offsetOf(value, from), offsetOf(value, Math.max(from, to)))
  const items = iterate(value)
  if (isList(value) && stride === 1) return items.slice(from, to)
  const picked: Value[] = []
  for (let at = from; stride > 0 ? at < to : at > to; at += stride) picked.push(items[at] as Value)
  return isText(value) ? concat(...(picked as readonly Text[])) : picked
}

/** Texts that hold characters outside of the basic plane: Python counts each as one, JavaScript as two. */
const wide = /[\ud800-\udfff]/

/** Items of a list, or characters of a text. */
export function lengthOf(value: Value): number {
  if (isList(value)) return value.length
  if (!isText(value)) throw new TemplateError(`${typeName(value)} cannot be sliced`)
  const text = plain(value)
  return wide.test(text) ? Array.from(text).length : text.length
}

/** Where a character of a text begins, in UTF-16 units. */
function offsetOf(value: Text, at: number): number {
  const text = plain(value)
  if (!wide.test(text)) return at
  return Array.from(text).slice(0, at).join('').length
}

/** Python's `value[key]` with a number on a list or a text; Undefined beyond its ends. */
export function itemAt(value: Value, at: number): Value {
  const place = at < 0 ? at + lengthOf(value) : at
  if (isText(value) && !wide.test(plain(value))) {
    return place >= 0 && place < plain(value).length ? slice(value, place, place + 1) : new Undefined(`item ${at}`)
  }
  return orUndefined(iterate(value)[place], `item ${at}`)
}

/** Pairs of name and value as a loop unpacks them. */
export function unpack(value: Value, count: number): readonly Value[] {
  const items = iterate(value)
  if (items.length !== count) throw new TemplateError(`${items.length} values cannot be unpacked into ${count} names`)
  return tuple([...items])
}
