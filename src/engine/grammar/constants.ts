import { limitError } from '../../core/index.ts'
import { accepts } from './automaton.ts'
import { choice, never, sequence, text, type Expression } from './expression.ts'
import type { GrammarBuilder } from './grammar-builder.ts'
import { grammarOptions } from './options.ts'
import {
  invalidSchema,
  readTypes,
  typedKeywords,
  typeOfValue,
  unenforceable,
  type SchemaObject,
} from './schema-keywords.ts'
import { readBounds } from './schema-number.ts'
import { stringAutomaton } from './schema-string.ts'

/** `enum` and `const`: their JSON texts, without those that the rest of the schema forbids. */
export function writeConstants(grammar: GrammarBuilder, schema: SchemaObject, path: string): Expression {
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
    .filter((value) => satisfies(value, schema, path))
    .map((value) => JSON.stringify(value))
    .filter((json) => constant === undefined || json === constant)
  return texts.length === 0 ? never : grammar.rule('enum', writeTexts([...new Set(texts)], 0, 0))
}

function satisfies(value: unknown, schema: SchemaObject, path: string): boolean {
  const type = typeOfValue(value)
  const types = readTypes(schema, path)
  const integer = typeof value === 'number' && Number.isInteger(value) && types?.includes('integer') === true
  if (types !== undefined && !types.includes(type) && !integer) return false
  if (typeof value === 'number') {
    const { min, max } = readBounds(schema, path)
    if (schema['multipleOf'] !== undefined) throw unenforceable(`${path}.multipleOf`, "'multipleOf' beside 'enum'")
    if (min !== undefined && (value < min.value || (min.exclusive && value === min.value))) return false
    return max === undefined || value < max.value || (!max.exclusive && value === max.value)
  }
  if (typeof value === 'string') {
    const automaton = stringAutomaton(schema, path)
    return automaton === undefined || accepts(automaton, value)
  }
  const keyword = typedKeywords[type].find((known) => known in schema)
  if (keyword !== undefined) throw unenforceable(`${path}.${keyword}`, `'${keyword}' beside 'enum'`)
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
