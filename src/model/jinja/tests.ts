import { isText, plain } from './marked-text.ts'
import { compare, contains } from './operators.ts'
import { Dict, equals, isList, TemplateError, Undefined, type Value } from './values.ts'

type Test = (value: Value, args: readonly Value[]) => boolean

/** One of jinja2's tests. Throws for one that is none. */
export function testOf(name: string): Test {
  const test = tests[name]
  if (test === undefined) throw new TemplateError(`'${name}' is no test`)
  return test
}

const withOther =
  (relation: (value: Value, other: Value) => boolean): Test =>
  (value, [other]) =>
    relation(value, other ?? null)

const equal = withOther(equals)
const unequal = withOther((value, other) => !equals(value, other))
const less = withOther((value, other) => compare(value, other) < 0)
const more = withOther((value, other) => compare(value, other) > 0)
const atMost = withOther((value, other) => compare(value, other) <= 0)
const atLeast = withOther((value, other) => compare(value, other) >= 0)

const tests: Readonly<Record<string, Test | undefined>> = {
  __proto__: null as never,
  defined: (value) => !(value instanceof Undefined),
  undefined: (value) => value instanceof Undefined,
  none: (value) => value === null,
  true: (value) => value === true,
  false: (value) => value === false,
  boolean: (value) => typeof value === 'boolean',
  string: (value) => isText(value),
  number: (value) => typeof value === 'number' || typeof value === 'boolean',
  integer: (value) => Number.isInteger(value),
  float: (value) => typeof value === 'number' && !Number.isInteger(value),
  mapping: (value) => value instanceof Dict,
  sequence: (value) => isText(value) || isList(value) || value instanceof Dict || value instanceof Undefined,
  iterable: (value) => isText(value) || isList(value) || value instanceof Dict || value instanceof Undefined,
  callable: (value) => typeof value === 'function',
  odd: (value) => Math.abs(Number(value) % 2) === 1,
  even: (value) => Number(value) % 2 === 0,
  divisibleby: withOther((value, other) => Number(value) % Number(other) === 0),
  lower: (value) => isText(value) && plain(value) === plain(value).toLowerCase(),
  upper: (value) => isText(value) && plain(value) === plain(value).toUpperCase(),
  in: withOther((value, other) => contains(other, value)),
  equalto: equal,
  eq: equal,
  '==': equal,
  ne: unequal,
  '!=': unequal,
  sameas: equal,
  lt: less,
  lessthan: less,
  '<': less,
  gt: more,
  greaterthan: more,
  '>': more,
  le: atMost,
  '<=': atMost,
  ge: atLeast,
  '>=': atLeast,
}
