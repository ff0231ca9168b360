import { limitError } from '../../core/index.ts'
import { choice, never, sequence, text, type Expression } from './expression.ts'
import { grammarOptions } from './options.ts'
import { invalidSchema, readTypes, typedKeywords, typeOfValue, type SchemaObject } from './schema-keywords.ts'
import { readBounds } from './schema-number.ts'
import type { Notation } from './notation.ts'
import { acceptsText } from './schema-string.ts'
import type { ValueWriter } from './schema-writer.ts'

/** `enum` and `const`: their texts in the notation, without those that the rest of the schema forbids. */
export function writeConstants(
  writer: ValueWriter,
  schema: SchemaObject,
  path: string,
  notation: Notation = writer.notation,
): Expression {
  const listed = schema['enum'] ?? [schema['const']]
  if (!Array.isArray(listed)) throw invalidSchema(`${path}.enum`, 'a list of values belongs here')
  const maximum = grammarOptions.maxSchemaChoices.default
  if (listed.length > maximum) {
    throw limitError(
      { name: 'maxSchemaChoices', maximum, unit: 'values' },
      listed.length,
      `${path}.enum`,
      'Use fewer values.',
    )
  }
  const constant = 'const' in schema ? JSON.stringify(schema['const']) : undefined
  const texts = listed
    .filter((value) => constant === undefined || JSON.stringify(value) === constant)
    .filter((value) => satisfies(writer, value, schema, path))
    .flatMap((value) => written(value, notation) ?? [])
  return texts.length === 0 ? never : writer.grammar.rule('enum', writeTexts([...new Set(texts)], 0, 0))
}

/** The value as the notation writes it; undefined where it cannot. */
function written(value: unknown, notation: Notation): string | undefined {
  if (notation.mark === undefined || value === null || typeof value === 'number' || typeof value === 'boolean') {
    return JSON.stringify(value)
  }
  if (typeof value === 'string') {
    return value.includes(notation.mark) ? undefined : notation.open + value + notation.close
  }
  if (notation.quotesKeys) return JSON.stringify(value)
  const inner = (each: unknown): string => written(each, notation) ?? 'null'
  if (Array.isArray(value)) return `[${value.map(inner).join(',')}]`
  const members = Object.entries(value as object).map(([key, each]) => `${notation.key(key)}:${inner(each)}`)
  return `{${members.join(',')}}`
}

function satisfies({ enforcement }: ValueWriter, value: unknown, schema: SchemaObject, path: string): boolean {
  const type = typeOfValue(value)
  const types = readTypes(schema, path)
  const integer = typeof value === 'number' && Number.isInteger(value) && types?.includes('integer') === true
  if (types !== undefined && !types.includes(type) && !integer) return false
  if (typeof value === 'number') {
    const { min, max } = readBounds(schema, path)
    if (schema['multipleOf'] !== undefined) enforcement.lacks(path, 'multipleOf', "'multipleOf' beside 'enum'")
    if (min !== undefined && (value < min.value || (min.exclusive && value === min.value))) return false
    return max === undefined || value < max.value || (!max.exclusive && value === max.value)
  }
  if (typeof value === 'string') {
    return acceptsText(schema, path, value, enforcement)
  }
  const keyword = typedKeywords[type].find((known) => known in schema)
  if (keyword !== undefined) enforcement.lacks(path, keyword, `'${keyword}' beside 'enum'`)
  return true
}

/**
 * A choice of texts that share their beginnings, so that few of them are open at a time: libllama follows every open
 * alternative at every character.
 */
function writeTexts(texts: readonly string[], shared: number, level: number): Expression {
  if (texts.length <= 4 || level >= deepestSharing) return choice(...texts.map((json) => text(json.slice(shared))))
  const groups = Map.groupBy(texts, (json) => json.slice(shared, nextBorder(json, shared)))
  return choice(
    ...[...groups].map(([first, group]) =>
      first === ''
        ? sequence()
        : group.length === 1
          ? text(group[0]?.slice(shared) ?? '')
          : sequence(text(first), writeTexts(group, shared + first.length, level + 1)),
    ),
  )
}

const deepestSharing = 40

/** Behind the next whole character. */
function nextBorder(json: string, at: number): number {
  return at + ((json.codePointAt(at) ?? 0) > 0xffff ? 2 : 1)
}
