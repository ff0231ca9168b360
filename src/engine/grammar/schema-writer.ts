import { limitError } from '../../core/index.ts'
import type { JsonSchema } from '../../inference/index.ts'
import type { Expression } from './expression.ts'
import type { Enforcement } from './enforcement.ts'
import type { GrammarBuilder } from './grammar-builder.ts'
import type { Notation } from './notation.ts'
import { readCount, type SchemaObject } from './schema-keywords.ts'
import { grammarOptions } from './options.ts'

/** What writers of objects and arrays ask for the schemas inside: the compiler, without its import. */
export interface ValueWriter {
  readonly grammar: GrammarBuilder
  readonly notation: Notation
  readonly enforcement: Enforcement
  /** A value that satisfies the schema; `never` where none can. */
  value(schema: JsonSchema, path: string, depth: number): Expression
}

/**
 * A number of repetitions, undefined where the keyword is absent. No answer has room for more than `maxRepetitions`: an
 * upper bound above it binds nothing, a lower one throws `limit_exceeded`.
 */
export function readBound(schema: SchemaObject, keyword: string, path: string): number | undefined {
  const value = readCount(schema, keyword, path)
  const maximum = grammarOptions.maxRepetitions.default
  if (value === undefined || value <= maximum) return value
  if (keyword.startsWith('max')) return undefined
  const limit = { name: 'maxRepetitions', maximum, unit: 'repetitions' }
  throw limitError(limit, value, `${path}.${keyword}`, 'Choose a smaller bound.')
}
