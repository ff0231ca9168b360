import type { JsonSchema } from '../../inference/index.ts'
import {
  invalidSchema,
  pathTo,
  readTypes,
  requireRecord,
  type KeywordJudge,
  type SchemaObject,
} from './schema-keywords.ts'

/**
 * One schema that says what two say together, both without `$ref`, `allOf`, `anyOf` and `oneOf`. Patterns, formats and multiples that
 * cannot be joined into one gather in lists, which the compiler intersects.
 */
export function mergeSchemas(
  left: SchemaObject,
  right: SchemaObject,
  path: string,
  judge: KeywordJudge,
): SchemaObject | false {
  const merged: Record<string, unknown> = { ...left }
  for (const [keyword, value] of Object.entries(right)) {
    const other = left[keyword]
    if (other === undefined) {
      merged[keyword] = value
      continue
    }
    const joined = join(keyword, other, value, left, right, path, judge)
    if (joined === impossible) return false
    merged[keyword] = joined
  }
  const properties = mergeProperties(left, right, path)
  if (properties !== undefined) merged['properties'] = properties
  return merged
}

const impossible = Symbol('impossible')

function join(
  keyword: string,
  left: unknown,
  right: unknown,
  leftSchema: SchemaObject,
  rightSchema: SchemaObject,
  path: string,
  judge: KeywordJudge,
): unknown {
  const same = JSON.stringify(left) === JSON.stringify(right)
  switch (keyword) {
    case 'type':
      return joinTypes(leftSchema, rightSchema, path)
    case 'enum': {
      const texts = new Set((right as readonly unknown[]).map((value) => JSON.stringify(value)))
      const both = (left as readonly unknown[]).filter((value) => texts.has(JSON.stringify(value)))
      return both.length === 0 ? impossible : both
    }
    case 'const':
      return same ? left : impossible
    case 'minimum':
    case 'exclusiveMinimum':
    case 'minLength':
    case 'minItems':
    case 'minProperties':
      return Math.max(left as number, right as number)
    case 'maximum':
    case 'exclusiveMaximum':
    case 'maxLength':
    case 'maxItems':
    case 'maxProperties':
      return Math.min(left as number, right as number)
    case 'pattern':
    case 'format':
    case 'multipleOf':
      return [...new Set([left, right].flat())]
    case 'required':
      return [...new Set([...(left as readonly unknown[]), ...(right as readonly unknown[])])]
    case 'properties':
      // Joined with both schemas' additionalProperties in sight.
      return left
    case 'additionalProperties':
    case 'items':
    case 'propertyNames':
      return both(left, right)
    case 'prefixItems': {
      const [a, b] = [left as readonly unknown[], right as readonly unknown[]]
      const [longer, shorter] = a.length >= b.length ? [a, b] : [b, a]
      return longer.map((item, at) => (at < shorter.length ? both(item, shorter[at]) : item))
    }
    case 'uniqueItems':
      return left === true || right === true
    default:
      if (same) return left
      judge.lacks(path, keyword, `'${keyword}' in several schemas that hold together`)
      return left
  }
}

/** A schema that says both. */
function both(left: unknown, right: unknown): unknown {
  if (left === true) return right
  if (right === true) return left
  if (left === false || right === false) return false
  return { allOf: [left, right] }
}

function joinTypes(left: SchemaObject, right: SchemaObject, path: string): unknown {
  const inRight = readTypes(right, path) ?? []
  const common = (readTypes(left, path) ?? []).flatMap((type) => {
    if (inRight.includes(type)) return [type]
    if (type === 'integer' && inRight.includes('number')) return ['integer']
    return type === 'number' && inRight.includes('integer') ? ['integer'] : []
  })
  return common.length === 0 ? impossible : common
}

/** Properties of both; one that only one schema names must satisfy the other's additionalProperties. */
function mergeProperties(left: SchemaObject, right: SchemaObject, path: string): SchemaObject | undefined {
  if (left['properties'] === undefined && right['properties'] === undefined) return undefined
  const inLeft = requireRecord(left['properties'] ?? {}, `${path}.properties`)
  const inRight = requireRecord(right['properties'] ?? {}, `${path}.properties`)
  const merged: Record<string, JsonSchema> = Object.create(null) as Record<string, JsonSchema>
  for (const key of new Set([...Object.keys(inLeft), ...Object.keys(inRight)])) {
    const a = Object.hasOwn(inLeft, key) ? inLeft[key] : (left['additionalProperties'] ?? true)
    const b = Object.hasOwn(inRight, key) ? inRight[key] : (right['additionalProperties'] ?? true)
    const joined = both(a, b)
    if (typeof joined !== 'boolean' && typeof joined !== 'object')
      throw invalidSchema(pathTo(`${path}.properties`, key), 'no schema')
    merged[key] = joined as JsonSchema
  }
  return merged
}
