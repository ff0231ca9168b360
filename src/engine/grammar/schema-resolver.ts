import { limitError } from '../../core/index.ts'
import type { JsonSchema } from '../../inference/index.ts'
import { grammarOptions } from './options.ts'
import {
  assertionsOf,
  invalidSchema,
  pathTo,
  readTypes,
  requireSchema,
  requireSchemas,
  unenforceable,
  type KeywordJudge,
  type SchemaObject,
} from './schema-keywords.ts'
import { mergeSchemas } from './schema-merge.ts'

/** Where a schema stands: its text, and its path in the client's request. */
export interface Located {
  readonly schema: JsonSchema
  readonly path: string
}

/** Follows references and resolves combinations, within the limits on schemas. One for each root schema. */
export class SchemaResolver {
  readonly #root: Located
  readonly #judge: KeywordJudge
  #nodes = 0

  constructor(root: Located, judge: KeywordJudge) {
    this.#root = root
    this.#judge = judge
  }

  /** Counts one more subschema. Throws `limit_exceeded` when there are too many, or they nest too deep. */
  count(depth: number): void {
    this.#nodes += 1
    const nodes = grammarOptions.maxSchemaNodes.default
    if (this.#nodes > nodes) {
      const limit = { name: 'maxSchemaNodes', maximum: nodes, unit: 'schemas' }
      throw limitError(limit, this.#nodes, `The JSON Schema at ${this.#root.path}`, 'Simplify the schema.')
    }
    const levels = grammarOptions.maxSchemaDepth.default
    if (depth > levels) {
      const limit = { name: 'maxSchemaDepth', maximum: levels, unit: 'levels' }
      throw limitError(limit, depth, `The JSON Schema at ${this.#root.path}`, 'Nest it less, or use $defs.')
    }
  }

  /** The schema that a `$ref` points to: `#`, or a JSON pointer into the root schema (RFC 6901). */
  follow(reference: unknown, path: string): Located {
    if (typeof reference !== 'string' || !reference.startsWith('#')) {
      throw unenforceable(`${path}.$ref`, `A reference to ${JSON.stringify(reference)}, outside this schema,`)
    }
    let target: unknown = this.#root.schema
    let targetPath = this.#root.path
    const pointer = reference.slice(1)
    if (pointer !== '' && !pointer.startsWith('/')) return this.#followAnchor(pointer, path)
    for (const step of pointer.split('/').slice(1)) {
      const key = decode(step).replaceAll('~1', '/').replaceAll('~0', '~')
      const inside = typeof target === 'object' && target !== null && Object.hasOwn(target, key)
      if (!inside) throw invalidSchema(`${path}.$ref`, `${JSON.stringify(reference)} points to nothing`)
      target = (target as Readonly<Record<string, unknown>>)[key]
      targetPath = /^\d+$/.test(key) ? `${targetPath}[${key}]` : pathTo(targetPath, key)
    }
    return { schema: requireSchema(target, targetPath), path: targetPath }
  }

  /**
   * The schemas, without references and combinators, of which a value must satisfy one. A value that must satisfy
   * several at once gets them merged.
   */
  alternatives(
    schema: JsonSchema,
    path: string,
    depth: number,
    following: readonly JsonSchema[] = [],
  ): readonly SchemaObject[] {
    this.count(depth)
    if (typeof schema === 'boolean') return schema ? [{}] : []
    if (following.includes(schema)) throw invalidSchema(path, 'it refers to itself without end')
    const inside = [...following, schema]
    const { $ref, allOf, anyOf, oneOf, unevaluatedProperties, ...own } = assertionsOf(schema, path, this.#judge)
    let found: readonly SchemaObject[] = [own]
    const narrow = (options: readonly SchemaObject[]): void => {
      found = found.flatMap((one) =>
        options.map((other) => mergeSchemas(one, other, path, this.#judge)).filter((merged) => merged !== false),
      )
      this.count(0)
      if (found.length > grammarOptions.maxSchemaNodes.default) this.#nodes += found.length
    }
    if ($ref !== undefined) {
      const target = this.follow($ref, path)
      narrow(this.alternatives(target.schema, target.path, depth + 1, inside))
    }
    if (allOf !== undefined) {
      for (const [at, part] of requireSchemas(allOf, `${path}.allOf`).entries()) {
        narrow(this.alternatives(part, `${path}.allOf[${at}]`, depth + 1, inside))
      }
    }
    for (const [keyword, list] of Object.entries({ anyOf, oneOf })) {
      if (list === undefined) continue
      const options = requireSchemas(list, `${path}.${keyword}`).map((option, at) =>
        this.alternatives(option, `${path}.${keyword}[${at}]`, depth + 1, inside),
      )
      if (keyword === 'oneOf') this.#requireExclusive(options, path)
      narrow(options.flat())
    }
    // Whatever was named on the way is evaluated; nothing else may be there.
    return unevaluatedProperties === false ? found.map((one) => ({ additionalProperties: false, ...one })) : found
  }

  /** `oneOf` is `anyOf` where no value can satisfy two of its schemas; else it cannot be enforced. */
  #requireExclusive(options: readonly (readonly SchemaObject[])[], path: string): void {
    for (const [at, one] of options.entries()) {
      for (const other of options.slice(at + 1)) {
        const exclusive = one.every((a) => other.every((b) => excludes(a, b)))
        if (exclusive) continue
        this.#judge.lacks(path, 'oneOf', "'oneOf' over schemas that one value may satisfy together")
        return
      }
    }
  }

  #followAnchor(name: string, path: string): Located {
    const search = (node: unknown, nodePath: string, depth: number): Located | undefined => {
      if (typeof node !== 'object' || node === null || depth > grammarOptions.maxSchemaDepth.default) return undefined
      if ((node as SchemaObject)['$anchor'] === name) return { schema: node as SchemaObject, path: nodePath }
      for (const [key, child] of Object.entries(node)) {
        const found = search(child, pathTo(nodePath, key), depth + 1)
        if (found !== undefined) return found
      }
      return undefined
    }
    const found = search(this.#root.schema, this.#root.path, 0)
    if (found === undefined) throw invalidSchema(`${path}.$ref`, `"#${name}" points to nothing`)
    return found
  }
}

/**
 * Whether it is certain that no value satisfies both: other types, other constants, other constants in a required
 * property, or one requires what the other does not let in.
 */
function excludes(left: SchemaObject, right: SchemaObject): boolean {
  const [leftTypes, rightTypes] = [readTypes(left, ''), readTypes(right, '')]
  if (leftTypes !== undefined && rightTypes !== undefined) {
    const overlap = leftTypes.some(
      (type) => rightTypes.includes(type) || (isNumeric(type) && rightTypes.some((other) => isNumeric(other))),
    )
    if (!overlap) return true
  }
  const [leftValues, rightValues] = [constantsOf(left), constantsOf(right)]
  if (leftValues !== undefined && rightValues !== undefined) {
    return leftValues.every((value) => !rightValues.includes(value))
  }
  if (!onlyObjects(leftTypes) || !onlyObjects(rightTypes)) return false
  if (requiresForeign(left, right) || requiresForeign(right, left)) return true
  const [leftRequired, rightRequired] = [left['required'], right['required']]
  if (!Array.isArray(leftRequired) || !Array.isArray(rightRequired)) return false
  return leftRequired.some((key: unknown) => {
    if (typeof key !== 'string' || !rightRequired.includes(key)) return false
    const [a, b] = [propertyOf(left, key), propertyOf(right, key)]
    return a !== undefined && b !== undefined && excludes(a, b)
  })
}

/** Whether `one` requires a property that `other` neither names nor lets in. */
function requiresForeign({ required }: SchemaObject, other: SchemaObject): boolean {
  if (!Array.isArray(required) || other['additionalProperties'] !== false || 'patternProperties' in other) return false
  return required.some((key: unknown) => typeof key === 'string' && propertyOf(other, key) === undefined)
}

function onlyObjects(types: readonly string[] | undefined): boolean {
  return types?.length === 1 && types[0] === 'object'
}

function isNumeric(type: string): boolean {
  return type === 'number' || type === 'integer'
}

function constantsOf(schema: SchemaObject): readonly string[] | undefined {
  if ('const' in schema) return [JSON.stringify(schema['const'])]
  const values = schema['enum']
  return Array.isArray(values) ? values.map((value) => JSON.stringify(value)) : undefined
}

function propertyOf(schema: SchemaObject, key: string): SchemaObject | undefined {
  const properties = schema['properties']
  if (typeof properties !== 'object' || properties === null || !Object.hasOwn(properties, key)) return undefined
  const property = (properties as Readonly<Record<string, unknown>>)[key]
  return typeof property === 'object' && property !== null ? (property as SchemaObject) : undefined
}

function decode(step: string): string {
  try {
    return decodeURIComponent(step)
  } catch {
    return step
  }
}
