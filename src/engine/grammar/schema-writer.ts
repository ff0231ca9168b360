import { limitError } from '../../core/index.ts'
import type { JsonSchema } from '../../inference/index.ts'
import type { Expression } from './expression.ts'
import type { GrammarBuilder } from './grammar-builder.ts'
import { grammarOptions } from './options.ts'

/** What writers of objects and arrays ask for the schemas inside: the compiler, without its import. */
export interface ValueWriter {
  readonly grammar: GrammarBuilder
  /** A value that satisfies the schema; `never` where none can. */
  value(schema: JsonSchema, path: string, depth: number): Expression
}

/** Throws `limit_exceeded` for a number of repetitions that no answer has room for. */
export function checkRepetitions(value: number | undefined, path: string): void {
  const maximum = grammarOptions.maxRepetitions.default
  if (value === undefined || value <= maximum) return
  const limit = { name: 'maxRepetitions', maximum, unit: 'repetitions' }
  throw limitError(limit, value, path, 'Choose a smaller bound.')
}
