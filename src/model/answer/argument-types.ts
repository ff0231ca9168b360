import type { JsonSchema, ToolDefinition } from '../../inference/index.ts'

/** The types that JSON tells apart; an integer is a number. */
export type ArgumentType = 'string' | 'number' | 'boolean' | 'null' | 'object' | 'array'
/** Undefined: any. */
export type ArgumentTypes = ReadonlySet<ArgumentType> | undefined

type SchemaObject = Exclude<JsonSchema, boolean>

/** Schemas nest, and refer to themselves; deeper than this nothing is said of types. */
const deepest = 32

/**
 * Which types the tool's schema allows for the argument, or for what lies inside it (`''`: an item of a list): bare text
 * can stand for a string only where one may be.
 */
export function argumentTypes(tool: ToolDefinition | undefined, path: readonly string[]): ArgumentTypes {
  const root = tool?.parameters
  if (root === undefined || typeof root === 'boolean') return undefined
  let schemas: readonly JsonSchema[] = [root]
  for (const key of path) schemas = schemas.flatMap((schema) => innerSchemas(schema, root, key, 0))
  return schemas.reduce<ArgumentTypes>((types, schema) => common(types, typesOf(schema, root, 0)), undefined)
}

/** Every schema that the property or item must satisfy. Of `anyOf` the first that names it speaks for all. */
function innerSchemas(schema: JsonSchema, root: SchemaObject, key: string, depth: number): readonly JsonSchema[] {
  if (typeof schema === 'boolean' || depth > deepest) return []
  const found: JsonSchema[] = []
  const { properties, additionalProperties, items } = schema
  if (key === '' && isObject(items)) found.push(items)
  else if (isObject(properties) && Object.hasOwn(properties, key)) found.push(properties[key] as JsonSchema)
  else if (isObject(additionalProperties)) found.push(additionalProperties)
  const target = follow(schema['$ref'], root)
  if (target !== undefined) found.push(...innerSchemas(target, root, key, depth + 1))
  for (const part of listOf(schema['allOf'])) found.push(...innerSchemas(part, root, key, depth + 1))
  for (const keyword of ['anyOf', 'oneOf']) {
    const options = listOf(schema[keyword]).map((option) => innerSchemas(option, root, key, depth + 1))
    found.push(...(options.find((option) => option.length > 0) ?? []))
  }
  return found
}

function typesOf(schema: JsonSchema, root: SchemaObject, depth: number): ArgumentTypes {
  if (typeof schema === 'boolean' || depth > deepest || !isObject(schema)) return undefined
  let types: ArgumentTypes
  const { type, enum: values } = schema
  if (type !== undefined) {
    const named = [type].flat().map((name) => (name === 'integer' ? 'number' : name))
    types = new Set(named as ArgumentType[])
  }
  if (Array.isArray(values)) types = common(types, new Set(values.map(typeOfJson)))
  if ('const' in schema) types = common(types, new Set([typeOfJson(schema['const'])]))
  const target = follow(schema['$ref'], root)
  if (target !== undefined) types = common(types, typesOf(target, root, depth + 1))
  for (const part of listOf(schema['allOf'])) types = common(types, typesOf(part, root, depth + 1))
  for (const keyword of ['anyOf', 'oneOf']) {
    const options = listOf(schema[keyword]).map((option) => typesOf(option, root, depth + 1))
    if (options.length > 0) types = common(types, either(options))
  }
  return types
}

export function typeOfJson(value: unknown): ArgumentType {
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'array'
  return typeof value as ArgumentType
}

function common(one: ArgumentTypes, other: ArgumentTypes): ArgumentTypes {
  if (one === undefined || other === undefined) return one ?? other
  return new Set([...one].filter((type) => other.has(type)))
}

function either(options: readonly ArgumentTypes[]): ArgumentTypes {
  const all = new Set<ArgumentType>()
  for (const option of options) {
    if (option === undefined) return undefined
    for (const type of option) all.add(type)
  }
  return all
}

function follow(reference: unknown, root: SchemaObject): JsonSchema | undefined {
  if (typeof reference !== 'string' || !reference.startsWith('#')) return undefined
  let target: unknown = root
  for (const step of reference.slice(1).split('/').slice(1)) {
    const key = step.replaceAll('~1', '/').replaceAll('~0', '~')
    if (!isObject(target) || !Object.hasOwn(target, key)) return undefined
    target = target[key]
  }
  return isObject(target) || typeof target === 'boolean' ? target : undefined
}

function listOf(value: unknown): readonly JsonSchema[] {
  return Array.isArray(value) ? value : []
}

function isObject(value: unknown): value is SchemaObject {
  return typeof value === 'object' && value !== null
}
