import type { JsonSchema } from '../../inference/index.ts'
import { writeConstants } from './constants.ts'
import { Enforcement } from './enforcement.ts'
import { choice, never, text, type Expression } from './expression.ts'
import type { GrammarBuilder } from './grammar-builder.ts'
import { jsonBoolean } from './json-text.ts'
import { jsonNotation, type Notation } from './notation.ts'
import { writeArray } from './schema-array.ts'
import {
  assertionsOf,
  invalidSchema,
  readTypes,
  typedKeywords,
  type JsonType,
  type SchemaObject,
} from './schema-keywords.ts'
import { writeNumber } from './schema-number.ts'
import { writeObject } from './schema-object.ts'
import { SchemaResolver, type Located } from './schema-resolver.ts'
import { writeString } from './schema-string.ts'
import type { ValueWriter } from './schema-writer.ts'

/**
 * Turns a JSON Schema (2020-12, and what older drafts have in common with it) into rules of a grammar whose every
 * text is a JSON value that satisfies the schema. Where a schema allows more than a model should write, the grammar
 * is narrower: properties come in the schema's order, objects with named properties get no others unless
 * `additionalProperties` asks for them. What it cannot enforce is the `Enforcement`'s to judge.
 *
 * Each schema object becomes one rule, so references may be recursive. Targets of references are compiled from a
 * list, not from the stack: chains of them may be long.
 */
export class SchemaCompiler implements ValueWriter {
  readonly grammar: GrammarBuilder
  readonly enforcement: Enforcement
  readonly notation: Notation
  readonly #resolver: SchemaResolver
  readonly #rules = new Map<SchemaObject, Expression & { kind: 'rule' }>()
  readonly #todo: Located[] = []
  /** Which rules stand in which without anything around them: for finding schemas that are nothing but themselves. */
  readonly #bare = new Map<string, string[]>()

  constructor(
    grammar: GrammarBuilder,
    root: Located,
    enforcement: Enforcement = new Enforcement(true),
    notation: Notation = jsonNotation,
  ) {
    this.grammar = grammar
    this.enforcement = enforcement
    this.notation = notation
    this.#resolver = new SchemaResolver(root, enforcement)
  }

  /** The rule of the root schema. */
  compile({ schema, path }: Located): Expression {
    return this.complete(this.value(schema, path, 0), path)
  }

  /** The schemas, without references and combinators, of which a value must satisfy one. */
  alternatives(schema: JsonSchema, path: string): readonly SchemaObject[] {
    return this.#resolver.alternatives(schema, path, 0)
  }

  /** Compiles what was referred to on the way to the expression, and returns it. */
  complete(root: Expression, path: string): Expression {
    for (let next = this.#todo.pop(); next !== undefined; next = this.#todo.pop()) this.#compileReferenced(next)
    this.#refuseSelfReference(path)
    return root
  }

  /** A value that satisfies the schema; `never` where none can. */
  value(schema: JsonSchema, path: string, depth: number): Expression {
    this.#resolver.count(depth)
    if (schema === true) return this.notation.anyValue(this.grammar)
    if (schema === false) return never
    const { $ref, anyOf, ...rest } = assertionsOf(schema, path, this.enforcement)
    const alone = Object.keys(rest).length === 0
    if ($ref !== undefined && anyOf === undefined && alone) return this.#reference($ref, path)
    if (Array.isArray(anyOf) && anyOf.length > 0 && $ref === undefined && alone) {
      return choice(...anyOf.map((option: JsonSchema, at) => this.value(option, `${path}.anyOf[${at}]`, depth + 1)))
    }
    const alternatives = this.#resolver.alternatives(schema, path, depth)
    return choice(...alternatives.map((alternative) => this.plain(alternative, path, depth)))
  }

  #reference(reference: unknown, path: string): Expression {
    const target = this.#resolver.follow(reference, path)
    if (typeof target.schema === 'boolean') return this.value(target.schema, target.path, 0)
    const known = this.#rules.get(target.schema)
    if (known !== undefined) return known
    const rule = this.grammar.reserve(target.path.split(/[.[\]"]+/).findLast((part) => part !== '') ?? 'schema')
    this.#rules.set(target.schema, rule)
    this.#todo.push(target)
    return rule
  }

  #compileReferenced({ schema, path }: Located): void {
    if (typeof schema === 'boolean') return
    const rule = this.#rules.get(schema)
    if (rule === undefined) return
    const expression = this.value(schema, path, 0)
    this.#bare.set(rule.name, bareRules(expression))
    this.grammar.define(rule, expression)
  }

  /** `A` that is `A`, or `A` or `B`: libllama would follow it without end. */
  #refuseSelfReference(path: string): void {
    const done = new Set<string>()
    for (const start of this.#bare.keys()) {
      const reached = new Set(this.#bare.get(start))
      for (const name of reached) {
        if (name === start) throw invalidSchema(path, 'a $ref leads back to itself without an object or array between')
        if (!done.has(name)) for (const next of this.#bare.get(name) ?? []) reached.add(next)
      }
      done.add(start)
    }
  }

  /** A schema without references and combinators. */
  plain(schema: SchemaObject, path: string, depth: number): Expression {
    if ('enum' in schema || 'const' in schema) return writeConstants(this, schema, path)
    const types = readTypes(schema, path) ?? impliedTypes(schema)
    if (types === undefined) return this.notation.anyValue(this.grammar)
    const numeric = types.includes('number') ? 'number' : types.includes('integer') ? 'integer' : undefined
    const others = types.filter((type) => type !== 'number' && type !== 'integer')
    const options = others.map((type) => this.#typed(schema, type as JsonType, path, depth))
    if (numeric !== undefined) options.push(writeNumber(this.grammar, schema, numeric === 'integer', path))
    return choice(...options)
  }

  #typed(schema: SchemaObject, type: JsonType, path: string, depth: number): Expression {
    switch (type) {
      case 'object':
        return writeObject(this, schema, path, depth)
      case 'array':
        return writeArray(this, schema, path, depth)
      case 'string':
        return writeString(this, schema, path)
      case 'number':
        return writeNumber(this.grammar, schema, false, path)
      case 'boolean':
        return jsonBoolean(this.grammar)
      default:
        return text('null')
    }
  }
}

/** A schema that names no type but speaks of one means that one; undefined: any value will do. */
export function impliedTypes(schema: SchemaObject): readonly string[] | undefined {
  const implied = Object.entries(typedKeywords).find(([, keywords]) => keywords.some((keyword) => keyword in schema))
  return implied === undefined ? undefined : [implied[0]]
}

function bareRules(expression: Expression): string[] {
  if (expression.kind === 'rule') return [expression.name]
  return expression.kind === 'choice' ? expression.options.flatMap(bareRules) : []
}
