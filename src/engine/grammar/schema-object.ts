import { limitError } from '../../core/index.ts'
import type { JsonSchema } from '../../inference/index.ts'
import { accepts, automatonOf, complementAutomaton, intersectAutomata, isEmpty, type Automaton } from './automaton.ts'
import { anyCodePoint } from './code-points.ts'
import type { Enforcement } from './enforcement.ts'
import { choice, never, nothing, optional, repeat, sequence, text, type Expression } from './expression.ts'
import { braced, jsonString } from './json-text.ts'
import { bareKey, bareKeyLetters } from './notation.ts'
import { grammarOptions } from './options.ts'
import * as pattern from './pattern.ts'
import { readBound, type ValueWriter } from './schema-writer.ts'
import { invalidSchema, pathTo, requireRecord, requireSchema, type SchemaObject } from './schema-keywords.ts'
import { stringAutomaton } from './schema-string.ts'

interface Member {
  readonly key: string
  readonly value: Expression
  readonly required: boolean
}

/** Members that the schema does not name. */
interface Extras {
  readonly key: Expression
  readonly value: Expression
}

/**
 * Objects: the named properties in the schema's order, optional ones or not, then unnamed ones where
 * `additionalProperties` (or one `patternProperties`) asks for them.
 */
export function writeObject(
  compiler: ValueWriter,
  schema: SchemaObject,
  path: string,
  depth: number,
  brackets: readonly [string, string] = ['{', '}'],
): Expression {
  const { grammar, notation, enforcement } = compiler
  const names = namesAutomaton(schema, path, enforcement)
  const members = readMembers(compiler, schema, path, depth, names)
  if (members === undefined) return never
  const extras = readExtras(compiler, schema, path, depth, names, members)
  const min = readBound(schema, 'minProperties', path) ?? 0
  const max = readBound(schema, 'maxProperties', path)

  const space = notation.space(grammar)
  const comma = notation.comma(grammar)
  const required = members.filter((member) => member.required).length
  // How many members there are matters only as far as a bound looks; else only whether there is one.
  const bounded = min > required || (max !== undefined && (extras !== undefined || max < members.length))
  const counted = bounded ? Math.max(min, max ?? 0) + 1 : 1
  checkStates(members.length * counted, path)
  const rests = new Map<string, Expression>()

  /** What follows once the members before `at` are decided and `count` were written. */
  const rest = (at: number, count: number): Expression => {
    const key = `${at},${Math.min(count, counted)}`
    const known = rests.get(key)
    if (known !== undefined) return known
    const made = grammar.rule('rest', makeRest(at, Math.min(count, counted)))
    rests.set(key, made)
    return made
  }
  const makeRest = (at: number, count: number): Expression => {
    const member = members[at]
    if (member === undefined) return end(count)
    const lead = count === 0 ? nothing : comma
    const full = max !== undefined && bounded && count >= max
    const written = full
      ? never
      : sequence(lead, text(notation.key(member.key)), notation.colon, member.value, rest(at + 1, count + 1))
    return choice(written, member.required ? never : rest(at + 1, count))
  }
  const end = (count: number): Expression => {
    const missing = bounded ? Math.max(0, min - count) : 0
    if (extras === undefined) return missing > 0 ? never : nothing
    // Keys may repeat, and then count once: more than one unnamed member cannot be promised.
    if (missing > 1) enforcement.lacks(path, 'minProperties', "'minProperties' above what 'required' names")
    const room = max === undefined ? undefined : max - count
    if (room !== undefined && room <= 0) return missing > 0 ? never : nothing
    const member = grammar.rule('extra', sequence(extras.key, notation.colon, extras.value))
    const more = sequence(comma, member)
    if (count > 0) return repeat(more, missing, room)
    const some = sequence(member, repeat(more, 0, room === undefined ? undefined : room - 1))
    return missing > 0 ? some : optional(some)
  }
  // From the last member backwards, so that no object is too long for the stack.
  for (let at = members.length; at > 0; at -= 1)
    for (let count = 0; count <= Math.min(counted, at); count += 1) rest(at, count)
  const [open, close] = brackets
  return braced(open, close, members.length === 0 ? end(0) : makeRest(0, 0), space)
}

/** The named properties; undefined where one that is required cannot exist. */
function readMembers(
  compiler: ValueWriter,
  schema: SchemaObject,
  path: string,
  depth: number,
  names: Automaton | undefined,
): readonly Member[] | undefined {
  const properties = requireRecord(schema['properties'] ?? {}, `${path}.properties`)
  const required = schema['required'] ?? []
  if (!Array.isArray(required) || !required.every((key) => typeof key === 'string')) {
    throw invalidSchema(`${path}.required`, 'a list of names belongs here')
  }
  const unnamed = required.filter((key) => !Object.hasOwn(properties, key))
  const count = Object.keys(properties).length + unnamed.length
  checkChoices(count, `${path}.properties`)
  const members: Member[] = []
  const isRequired = new Set(required)
  const add = (key: string, value: unknown, valuePath: string): boolean => {
    const allowed = names === undefined || accepts(names, key)
    const expression = allowed ? compiler.value(requireSchema(value, valuePath), valuePath, depth + 1) : never
    if (expression === never) return !isRequired.has(key)
    members.push({ key, value: compiler.grammar.rule(key, expression), required: isRequired.has(key) })
    return true
  }
  for (const [key, value] of Object.entries(properties)) {
    if (!add(key, value, pathTo(`${path}.properties`, key))) return undefined
  }
  for (const key of unnamed) {
    if (!add(key, schema['additionalProperties'] ?? true, `${path}.additionalProperties`)) return undefined
  }
  return members
}

function readExtras(
  compiler: ValueWriter,
  schema: SchemaObject,
  path: string,
  depth: number,
  names: Automaton | undefined,
  members: readonly Member[],
): Extras | undefined {
  const { grammar, notation, enforcement } = compiler
  const byPattern = readPattern(schema, path, enforcement)
  const additional = schema['additionalProperties']
  const open = schema['properties'] === undefined && additional === undefined && byPattern === undefined
  const asked: JsonSchema =
    byPattern?.schema ?? (open ? true : requireSchema(additional ?? false, `${path}.additionalProperties`))
  const valuePath = byPattern?.path ?? `${path}.additionalProperties`
  if (asked === false) return undefined
  const value = compiler.value(asked, valuePath, depth + 1)
  if (value === never) return undefined
  const named = Object.keys(requireRecord(schema['properties'] ?? {}, `${path}.properties`))
  const taken = [...new Set([...named, ...members.map(({ key }) => key)])]
  const automata: Automaton[] = []
  if (names !== undefined) automata.push(names)
  if (byPattern !== undefined) automata.push(byPattern.keys)
  if (taken.length > 0)
    automata.push(complementAutomaton(automatonOf(pattern.choice(...taken.map((key) => pattern.text(key))))))
  const written = grammar.rule('value', value)
  if (automata.length === 0) {
    return { key: notation.quotesKeys ? jsonString(grammar) : bareKey(grammar), value: written }
  }
  if (!notation.quotesKeys) automata.push(automatonOf(pattern.repeat(pattern.set(bareKeyLetters), 1)))
  const keys = automata.reduce(intersectAutomata)
  if (isEmpty(keys)) return undefined
  const letters = grammar.automaton('key', keys, notation.encode)
  const key = notation.quotesKeys ? sequence(text('"'), letters, text('"')) : letters
  return { key: grammar.rule('key', key), value: written }
}

/** One pattern over all names is a map with such keys; more, or named properties beside it, would have to hold together. */
function readPattern(
  schema: SchemaObject,
  path: string,
  enforcement: Enforcement,
): { readonly keys: Automaton; readonly schema: JsonSchema; readonly path: string } | undefined {
  if (schema['patternProperties'] === undefined) return undefined
  const entries = Object.entries(requireRecord(schema['patternProperties'], `${path}.patternProperties`))
  const [only] = entries
  if (only === undefined) return undefined
  const [source, value] = only
  const valuePath = pathTo(`${path}.patternProperties`, source)
  if (entries.length > 1 || schema['properties'] !== undefined) {
    enforcement.lacks(path, 'patternProperties', "'patternProperties' with several patterns, or beside 'properties',")
    return undefined
  }
  const keys = stringAutomaton({ pattern: source }, valuePath, enforcement)
  if (keys === undefined) return undefined
  return { keys, schema: requireSchema(value, valuePath), path: valuePath }
}

/** The names that `propertyNames` allows; undefined for all. */
function namesAutomaton(schema: SchemaObject, path: string, enforcement: Enforcement): Automaton | undefined {
  const names = schema['propertyNames']
  if (names === undefined || names === true) return undefined
  const namesPath = `${path}.propertyNames`
  const { type, enum: values, const: value, ...rest } = requireRecord(names, namesPath)
  if (type !== undefined && type !== 'string') {
    enforcement.lacks(path, 'propertyNames', "'propertyNames' of another type")
  }
  const unknown = Object.keys(rest).find(
    (keyword) => !['pattern', 'format', 'minLength', 'maxLength', 'description', 'title'].includes(keyword),
  )
  if (unknown !== undefined) enforcement.lacks(namesPath, unknown, `'${unknown}' for names`)
  const listed = value === undefined ? values : [value]
  const automata: Automaton[] = []
  if (Array.isArray(listed)) {
    const texts = listed.filter((name) => typeof name === 'string')
    automata.push(automatonOf(pattern.choice(...texts.map((name) => pattern.text(name)))))
  }
  const described = stringAutomaton(rest, namesPath, enforcement)
  if (described !== undefined) automata.push(described)
  return automata.length === 0
    ? automatonOf(pattern.repeat(pattern.set(anyCodePoint), 0))
    : automata.reduce(intersectAutomata)
}

function checkChoices(actual: number, path: string): void {
  const maximum = grammarOptions.maxSchemaChoices.default
  if (actual <= maximum) return
  const limit = { name: 'maxSchemaChoices', maximum, unit: 'properties' }
  throw limitError(limit, actual, path, 'Use fewer properties.')
}

function checkStates(actual: number, path: string): void {
  const maximum = grammarOptions.maxSchemaNodes.default
  if (actual <= maximum) return
  const limit = { name: 'maxSchemaNodes', maximum, unit: 'schemas' }
  throw limitError(
    limit,
    actual,
    `${path} with bounds on its number of properties`,
    'Loosen minProperties and maxProperties.',
  )
}
