import { TokenmillError } from '../../core/index.ts'
import type { JsonSchema } from '../../inference/index.ts'

export type SchemaObject = { readonly [keyword: string]: unknown }

/** Keywords that only describe. */
const annotations = new Set([
  '$schema',
  '$id',
  '$anchor',
  '$comment',
  '$defs',
  'definitions',
  'title',
  'description',
  'default',
  'examples',
  'example',
  'deprecated',
  'readOnly',
  'writeOnly',
  'contentEncoding',
  'contentMediaType',
  'contentSchema',
  'discriminator',
  'nullable',
])

/** Keywords that combine schemas; resolved before anything else is looked at. */
const combinators = new Set(['$ref', 'allOf', 'anyOf', 'oneOf'])

/** Keywords that say something of one type of value. */
export const typedKeywords: Readonly<Record<JsonType, readonly string[]>> = {
  object: [
    'properties',
    'required',
    'additionalProperties',
    'patternProperties',
    'propertyNames',
    'minProperties',
    'maxProperties',
  ],
  array: ['items', 'prefixItems', 'minItems', 'maxItems', 'uniqueItems'],
  string: ['pattern', 'format', 'minLength', 'maxLength'],
  number: ['minimum', 'maximum', 'exclusiveMinimum', 'exclusiveMaximum', 'multipleOf'],
  boolean: [],
  null: [],
}

/** `integer` is a number here, with a flag of its own. */
export type JsonType = 'object' | 'array' | 'string' | 'number' | 'boolean' | 'null'

const enforced = new Set([...combinators, 'type', 'enum', 'const', ...Object.values(typedKeywords).flat()])

/** Keywords of JSON Schema that restrict values in ways that no grammar can follow. */
const notEnforceable = new Set([
  'not',
  'if',
  'then',
  'else',
  'contains',
  'minContains',
  'maxContains',
  'dependentRequired',
  'dependentSchemas',
  'dependencies',
  'unevaluatedItems',
  'unevaluatedProperties',
  'additionalItems',
  '$dynamicRef',
  '$recursiveRef',
])

/** What is told of keywords that restrict and that no grammar can hold. */
export interface KeywordJudge {
  lacks(path: string, keyword: string, what?: string): void
}

/** The schema as an object without annotations, and without what the judge lets go. */
export function assertionsOf(schema: SchemaObject, path: string, judge: KeywordJudge): SchemaObject {
  const kept: Record<string, unknown> = {}
  for (const [keyword, value] of Object.entries(schema)) {
    if (notEnforceable.has(keyword)) {
      if (keyword === 'unevaluatedProperties' && value === false) kept[keyword] = false
      else if (keyword !== 'then' && keyword !== 'else') judge.lacks(path, keyword)
    } else if (enforced.has(keyword) && !annotations.has(keyword)) {
      kept[keyword] = value
    }
  }
  return kept
}

export function unenforceable(path: string, what: string): TokenmillError {
  return new TokenmillError(
    'unsupported',
    `${what} at ${path} cannot be enforced while generating. Remove it, and check the value yourself.`,
    { param: path },
  )
}

export function invalidSchema(path: string, what: string): TokenmillError {
  return new TokenmillError('invalid_request', `The JSON Schema is wrong at ${path}: ${what}.`, { param: path })
}

export function requireSchema(value: unknown, path: string): JsonSchema {
  if (typeof value === 'boolean') return value
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as SchemaObject
  throw invalidSchema(path, 'a schema is an object, true or false')
}

export function requireSchemas(value: unknown, path: string): readonly JsonSchema[] {
  if (!Array.isArray(value) || value.length === 0)
    throw invalidSchema(path, 'a list with at least one schema belongs here')
  return value.map((element, at) => requireSchema(element, `${path}[${at}]`))
}

export function requireRecord(value: unknown, path: string): Readonly<Record<string, unknown>> {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as SchemaObject
  throw invalidSchema(path, 'an object belongs here')
}

/** A whole number ≥ 0; undefined where the keyword is absent. */
export function readCount(schema: SchemaObject, keyword: string, path: string): number | undefined {
  const value = schema[keyword]
  if (value === undefined) return undefined
  if (typeof value === 'number' && Number.isInteger(value) && value >= 0) return value
  throw invalidSchema(`${path}.${keyword}`, 'a whole number ≥ 0 belongs here')
}

export function readNumber(schema: SchemaObject, keyword: string, path: string): number | undefined {
  const value = schema[keyword]
  if (value === undefined) return undefined
  if (typeof value === 'number' && Number.isFinite(value)) return value
  throw invalidSchema(`${path}.${keyword}`, 'a number belongs here')
}

const types: readonly string[] = ['object', 'array', 'string', 'number', 'integer', 'boolean', 'null']

/** The types that the schema allows, `integer` among them; undefined where it does not say. */
export function readTypes(schema: SchemaObject, path: string): readonly string[] | undefined {
  const value = schema['type']
  if (value === undefined) return undefined
  const named = Array.isArray(value) ? value : [value]
  for (const type of named) {
    if (typeof type !== 'string' || !types.includes(type)) {
      throw invalidSchema(`${path}.type`, `${JSON.stringify(type)} is no type; the types are ${types.join(', ')}`)
    }
  }
  if (named.length === 0) throw invalidSchema(`${path}.type`, 'at least one type belongs here')
  return [...new Set(named as string[])]
}

/** The name of a property inside a path: `.city`, or `["home town"]`. */
export function pathTo(path: string, key: string): string {
  return /^[A-Za-z_$][\w$]*$/.test(key) ? `${path}.${key}` : `${path}[${JSON.stringify(key)}]`
}

export function typeOfValue(value: unknown): JsonType {
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'array'
  return typeof value as JsonType
}
