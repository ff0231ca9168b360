import type { Random } from '../../src/core/index.ts'
import type { JsonSchema } from '../../src/inference/index.ts'

type Schema = Record<string, unknown>

/** A random JSON Schema of the kind that applications write, with references, combinations and bounds of all sorts. */
export function randomSchema(random: Random): JsonSchema {
  const writer = new SchemaWriter(random)
  const root = writer.object(0)
  return { ...root, ...(writer.defs.size > 0 && { $defs: Object.fromEntries(writer.defs) }) }
}

const patterns = [
  '^[a-z]{2,5}$',
  '^(foo|bar|b[aeiou]z)+$',
  '^\\d{3}-\\d{4}$',
  'x.y',
  '^[A-Z][a-z]* [A-Z]\\.$',
  '^(?:\\+\\d{1,3} )?\\d{2,12}$',
  '[aeiou]{2}',
  '^[^"\\\\]{1,4}$',
  '^"quoted"\\\\n$',
  '^\\w+@\\w+\\.(com|org)$',
  '^[\\u00e0-\\u00ff]{1,3}$',
  '^\\p{Lu}\\p{Ll}?$',
  'a|^b$',
  '^(([a-c]|x{2})*y)?$',
]
const formats = ['date-time', 'date', 'time', 'uuid', 'email', 'ipv4', 'ipv6', 'hostname', 'duration', 'uri']
const keys = ['a', 'name', 'value', 'items', 'home town', 'Ünï', 'a"b', 'id', 'next', '__proto__x', 'x-y', '$ref2']

class SchemaWriter {
  readonly defs = new Map<string, Schema>()
  readonly #random: Random

  constructor(random: Random) {
    this.#random = random
  }

  object(depth: number): Schema {
    const properties: Schema = {}
    const required: string[] = []
    for (let count = this.#below(depth > 2 ? 2 : 5); count > 0; count -= 1) {
      const key = this.#one(keys)
      if (key in properties) continue
      properties[key] = this.value(depth + 1)
      if (this.#chance(0.6)) required.push(key)
    }
    const schema: Schema = { type: 'object' }
    if (Object.keys(properties).length > 0 || this.#chance(0.3)) schema['properties'] = properties
    if (required.length > 0) schema['required'] = required
    const kind = this.#random()
    if (kind < 0.6) schema['additionalProperties'] = false
    else if (kind < 0.75) schema['additionalProperties'] = this.value(depth + 1)
    else if (kind < 0.8) schema['additionalProperties'] = true
    if (this.#chance(0.1)) schema['maxProperties'] = required.length + this.#below(3)
    if (this.#chance(0.1)) schema['minProperties'] = Math.min(Object.keys(properties).length, required.length + 1)
    if (schema['additionalProperties'] !== false && this.#chance(0.1)) {
      schema['propertyNames'] = { pattern: '^[a-zA-Z]' }
      schema['properties'] = Object.fromEntries(Object.entries(properties).filter(([key]) => /^[a-zA-Z]/.test(key)))
      schema['required'] = required.filter((key) => /^[a-zA-Z]/.test(key))
      delete schema['minProperties']
    }
    return schema
  }

  value(depth: number): Schema {
    const simple = [
      () => this.string(),
      () => this.number(),
      () => this.constants(),
      () => ({ type: 'boolean' }),
      () => ({ type: 'null' }),
    ]
    const deep = [
      () => this.object(depth),
      () => this.array(depth),
      () => ({ anyOf: Array.from({ length: 1 + this.#below(3) }, () => this.value(depth + 1)) }),
      () => ({ ...this.string(), type: ['string', 'null'] }),
      () => this.reference(depth),
      () => this.together(depth),
      () => ({ oneOf: [{ type: 'string', maxLength: 3 }, this.number(), { type: 'null' }] }),
    ]
    return this.#one(depth > 4 ? simple : [...simple, ...deep])()
  }

  string(): Schema {
    const schema: Schema = { type: 'string' }
    const kind = this.#random()
    if (kind < 0.25) schema['pattern'] = this.#one(patterns)
    else if (kind < 0.45) schema['format'] = this.#one(formats)
    else if (kind < 0.75) {
      schema['minLength'] = this.#below(this.#chance(0.1) ? 200 : 5)
      if (this.#chance(0.7))
        schema['maxLength'] = Number(schema['minLength']) + this.#below(this.#chance(0.1) ? 300 : 6)
    }
    if (kind < 0.1) schema['maxLength'] = 12
    return schema
  }

  number(): Schema {
    const schema: Schema = { type: this.#chance(0.6) ? 'integer' : 'number' }
    const scale = this.#one([1, 10, 1000, 1e6])
    const low =
      schema['type'] === 'integer'
        ? Math.floor((this.#random() - 0.5) * scale)
        : Number(((this.#random() - 0.5) * scale).toFixed(this.#below(4)))
    const high = low + this.#below(50) + (schema['type'] === 'integer' ? 2 : 0.5)
    if (this.#chance(0.5)) schema[this.#chance(0.7) ? 'minimum' : 'exclusiveMinimum'] = low
    if (this.#chance(0.5)) schema[this.#chance(0.7) ? 'maximum' : 'exclusiveMaximum'] = high
    if (schema['type'] === 'integer' && this.#chance(0.2)) {
      schema['multipleOf'] = 1 + this.#below(5)
      delete schema['maximum']
      delete schema['exclusiveMaximum']
    }
    return schema
  }

  array(depth: number): Schema {
    const schema: Schema = { type: 'array', items: this.value(depth + 1) }
    if (this.#chance(0.4)) schema['minItems'] = this.#below(4)
    if (this.#chance(0.4))
      schema['maxItems'] = Number(schema['minItems'] ?? 0) + this.#below(this.#chance(0.1) ? 100 : 4)
    if (this.#chance(0.2)) {
      schema['prefixItems'] = [this.value(depth + 1), this.value(depth + 1)]
      if (this.#chance(0.5)) schema['items'] = false
      if (schema['items'] === false && Number(schema['minItems'] ?? 0) > 2) delete schema['minItems']
    }
    return schema
  }

  constants(): Schema {
    const values: readonly unknown[] = [
      'red',
      'green',
      'say "hi"',
      'Zürich',
      7,
      -1.5,
      true,
      null,
      { a: [1, 2] },
      'multi\nline',
      ...Array.from({ length: 30 }, (_, at) => `value-${at}`),
    ]
    if (this.#chance(0.3)) return { const: this.#one(values) }
    return { enum: [...new Set(Array.from({ length: 1 + this.#below(20) }, () => this.#one(values)))] }
  }

  /** A reference to a definition, old or new; new ones may refer to themselves, with a way out. */
  reference(depth: number): Schema {
    const name = `def${this.#below(4)}`
    if (!this.defs.has(name)) {
      this.defs.set(name, {})
      const body = this.object(depth + 1)
      const properties = {
        ...(body['properties'] as Schema | undefined),
        again: { anyOf: [{ $ref: `#/$defs/${name}` }, { type: 'null' }] },
      }
      this.defs.set(name, { ...body, properties })
    }
    return { $ref: `#/$defs/${name}` }
  }

  together(depth: number): Schema {
    const key = this.#one(keys)
    return {
      allOf: [
        { type: 'object', properties: { [key]: this.value(depth + 2) }, required: [key] },
        { type: 'object', properties: { extra: this.string() } },
      ],
    }
  }

  #below(end: number): number {
    return Math.floor(this.#random() * end)
  }

  #chance(share: number): boolean {
    return this.#random() < share
  }

  #one<T>(list: readonly T[]): T {
    return list[this.#below(list.length)] as T
  }
}
