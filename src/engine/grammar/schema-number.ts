import type { Expression } from './expression.ts'
import type { GrammarBuilder } from './grammar-builder.ts'
import { jsonInteger, jsonNumber } from './json-text.ts'
import { boundedNumber, type Bound } from './number-range.ts'
import { invalidSchema, readNumber, type SchemaObject } from './schema-keywords.ts'

export function writeNumber(grammar: GrammarBuilder, schema: SchemaObject, integer: boolean, path: string): Expression {
  const { min, max } = readBounds(schema, path)
  const asked: readonly unknown[] = [schema['multipleOf'] ?? []].flat()
  const multiplesOf = asked.filter((value): value is number => typeof value === 'number' && value > 0)
  if (multiplesOf.length < asked.length) throw invalidSchema(`${path}.multipleOf`, 'a number > 0 belongs here')
  if (min === undefined && max === undefined && multiplesOf.length === 0) {
    return integer ? jsonInteger(grammar) : jsonNumber(grammar)
  }
  return boundedNumber(grammar, { integer, min, max, multiplesOf })
}

/** The tighter of the inclusive and the exclusive bound, on each side. */
export function readBounds(
  schema: SchemaObject,
  path: string,
): { readonly min: Bound | undefined; readonly max: Bound | undefined } {
  const side = (
    inclusive: string,
    exclusive: string,
    tighter: (a: number, b: number) => boolean,
  ): Bound | undefined => {
    const value = readNumber(schema, inclusive, path)
    const outside = readNumber(schema, exclusive, path)
    if (outside !== undefined && (value === undefined || !tighter(value, outside))) {
      return { value: outside, exclusive: true }
    }
    return value === undefined ? undefined : { value, exclusive: false }
  }
  return {
    min: side('minimum', 'exclusiveMinimum', (a, b) => a > b),
    max: side('maximum', 'exclusiveMaximum', (a, b) => a < b),
  }
}
