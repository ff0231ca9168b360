import type { JsonSchema } from '../../inference/index.ts'
import { argumentFrame, type TaggedStyle } from '../../model/index.ts'
import { automatonOf, complementAutomaton, intersectAutomata } from './automaton.ts'
import { writeConstants } from './constants.ts'
import { choice, never, optional, repeat, sequence, text, type Expression } from './expression.ts'
import { encodePlainLetters } from './grammar-builder.ts'
import { jsonValue } from './json-text.ts'
import { bareKey, bareKeyLetters, bareNotation } from './notation.ts'
import * as pattern from './pattern.ts'
import { impliedTypes, type SchemaCompiler } from './schema-compiler.ts'
import { invalidSchema, pathTo, readTypes, requireRecord, requireSchema, type SchemaObject } from './schema-keywords.ts'
import { writeString } from './schema-string.ts'
import { textWithout } from './text-without.ts'

/** What a schema says of members: those it names, in its order, and whether there are others. */
export interface NamedMembers {
  readonly named: readonly (readonly [key: string, schema: JsonSchema, path: string, required: boolean])[]
  /** The schema of members that it does not name; undefined where there are none. */
  readonly others: JsonSchema | undefined
}

/** The members of an object whose schema has no references and combinators left. Bounds on their number are left out. */
export function membersOf({ enforcement }: SchemaCompiler, schema: SchemaObject, path: string): NamedMembers {
  for (const keyword of ['minProperties', 'maxProperties', 'propertyNames', 'patternProperties']) {
    if (keyword in schema) enforcement.lacks(path, keyword, `'${keyword}' of arguments in tags`)
  }
  const properties = requireRecord(schema['properties'] ?? {}, `${path}.properties`)
  const { additionalProperties, required = [] } = schema
  if (!Array.isArray(required)) throw invalidSchema(`${path}.required`, 'a list of names belongs here')
  const others = additionalProperties ?? schema['properties'] === undefined
  const unnamed = required.filter((key: unknown) => typeof key === 'string' && !Object.hasOwn(properties, key))
  const all = { ...properties, ...Object.fromEntries(unnamed.map((key: string) => [key, others])) }
  return {
    named: Object.entries(all).map(([key, value]) => {
      const keyPath = pathTo(`${path}.properties`, key)
      return [key, requireSchema(value, keyPath), keyPath, required.includes(key)] as const
    }),
    others: others === false ? undefined : requireSchema(others, `${path}.additionalProperties`),
  }
}

/** The arguments as a tag each: those that the schema names in its order, then others where it lets them in. */
export function writeTags(
  compiler: SchemaCompiler,
  style: TaggedStyle,
  schema: SchemaObject,
  path: string,
): Expression {
  const { named, others } = membersOf(compiler, schema, path)
  const tags: Expression[] = []
  for (const [key, value, keyPath, required] of named) {
    const tag = writeTag(compiler, style, text(key), value, keyPath)
    if (tag === never && required) return never
    if (tag !== never) tags.push(required ? tag : optional(compiler.grammar.rule('argument', tag)))
  }
  if (others !== undefined) {
    const key = otherKey(
      compiler,
      named.map(([name]) => name),
    )
    const tag = writeTag(compiler, style, key, others, `${path}.additionalProperties`)
    if (tag !== never) tags.push(repeat(compiler.grammar.rule('argument', tag), 0, undefined))
  }
  return sequence(...tags)
}

/** A name that the schema does not give. */
export function otherKey({ grammar }: SchemaCompiler, named: readonly string[]): Expression {
  if (named.length === 0) return bareKey(grammar)
  const letters = automatonOf(pattern.repeat(pattern.set(bareKeyLetters), 1))
  const given = automatonOf(pattern.choice(...named.map((name) => pattern.text(name))))
  const keys = intersectAutomata(letters, complementAutomaton(given))
  return grammar.automaton('key', keys, encodePlainLetters)
}

function writeTag(
  compiler: SchemaCompiler,
  style: TaggedStyle,
  key: Expression,
  schema: JsonSchema,
  path: string,
): Expression {
  const { texts, others } = bareValue(compiler, schema, path, style.valueClose)
  const framed = (type: string, value: Expression): Expression => {
    if (value === never) return never
    const [before, after] = argumentFrame(style, '\0', type)
    const [open = '', lead = ''] = before.split('\0')
    return sequence(text(open), key, text(lead), value, text(after))
  }
  const { typeNames } = style
  if (typeNames === undefined) return framed('', choice(texts, others))
  const shared = others === never ? never : compiler.grammar.rule('value', others)
  return choice(framed(typeNames.text, texts), ...typeNames.others.map((type) => framed(type, shared)))
}

/** A value as bare text where it is a string, and as JSON where it is not. */
export function bareValue(
  compiler: SchemaCompiler,
  schema: JsonSchema,
  path: string,
  mark: string,
): { readonly texts: Expression; readonly others: Expression } {
  const bare = bareNotation(mark)
  const texts: Expression[] = []
  const others: Expression[] = []
  for (const one of compiler.alternatives(schema, path)) {
    if ('enum' in one || 'const' in one) {
      const values: unknown = one['enum'] ?? [one['const']]
      if (!Array.isArray(values)) throw invalidSchema(`${path}.enum`, 'a list of values belongs here')
      const isText = (value: unknown): boolean => typeof value === 'string'
      const strings = values.filter(isText)
      const rest = values.filter((value) => !isText(value))
      if (strings.length > 0) texts.push(writeConstants(compiler, { ...one, enum: strings }, path, bare))
      if (rest.length > 0) others.push(writeConstants(compiler, { ...one, enum: rest }, path))
      continue
    }
    const types = readTypes(one, path) ?? impliedTypes(one)
    if (types === undefined) {
      texts.push(textWithout(compiler.grammar, mark))
      others.push(jsonValue(compiler.grammar))
      continue
    }
    const rest = types.filter((type) => type !== 'string')
    if (rest.length < types.length) texts.push(writeString(compiler, one, path, bare))
    if (rest.length > 0) others.push(compiler.plain({ ...one, type: rest }, path, 0))
  }
  return { texts: choice(...texts), others: choice(...others) }
}
