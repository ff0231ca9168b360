import { automatonOf, intersectAutomata, isEmpty, searchAutomatonOf, type Automaton } from './automaton.ts'
import { anyCodePoint } from './code-points.ts'
import { never, repeat, sequence, text, type Expression } from './expression.ts'
import { encodeJsonLetters, type GrammarBuilder } from './grammar-builder.ts'
import { jsonLetter, jsonString } from './json-text.ts'
import * as pattern from './pattern.ts'
import { parseRegex, RegexFault } from './regex-parser.ts'
import { checkRepetitions } from './schema-writer.ts'
import { invalidSchema, readCount, unenforceable, type SchemaObject } from './schema-keywords.ts'
import { stringFormats } from './string-formats.ts'

export function writeString(grammar: GrammarBuilder, schema: SchemaObject, path: string): Expression {
  const min = readCount(schema, 'minLength', path) ?? 0
  const max = readCount(schema, 'maxLength', path)
  checkRepetitions(min, `${path}.minLength`)
  checkRepetitions(max, `${path}.maxLength`)
  if (max !== undefined && max < min) return never
  if (schema['pattern'] === undefined && schema['format'] === undefined) {
    if (min === 0 && max === undefined) return jsonString(grammar)
    return sequence(text('"'), repeat(jsonLetter(grammar), min, max), text('"'))
  }
  const key = `string ${JSON.stringify([schema['pattern'], schema['format'], min, max])}`
  return grammar.shared(key, () => {
    const automaton = stringAutomaton(schema, path)
    if (automaton === undefined || isEmpty(automaton)) return never
    return sequence(text('"'), grammar.automaton('s', automaton, encodeJsonLetters), text('"'))
  })
}

/** The texts that satisfy the schema's patterns, formats and lengths; undefined where it has none of them. */
export function stringAutomaton(schema: SchemaObject, path: string): Automaton | undefined {
  const automata: Automaton[] = []
  for (const source of [schema['pattern'] ?? []].flat()) {
    if (typeof source !== 'string') throw invalidSchema(`${path}.pattern`, 'a regular expression belongs here')
    automata.push(searchAutomatonOf(toPattern(source, `${path}.pattern`)))
  }
  for (const format of [schema['format'] ?? []].flat()) {
    const source =
      typeof format === 'string' && Object.hasOwn(stringFormats, format) ? stringFormats[format] : undefined
    if (source === undefined) {
      const known = Object.keys(stringFormats).join(', ')
      throw unenforceable(`${path}.format`, `The format ${JSON.stringify(format)} (known ones: ${known})`)
    }
    automata.push(searchAutomatonOf(toPattern(source, `${path}.format`)))
  }
  const min = readCount(schema, 'minLength', path) ?? 0
  const max = readCount(schema, 'maxLength', path)
  if (min > 0 || max !== undefined) {
    automata.push(automatonOf(pattern.repeat(pattern.set(anyCodePoint), min, max)))
  }
  return automata.length === 0 ? undefined : automata.reduce(intersectAutomata)
}

function toPattern(source: string, path: string): pattern.Pattern {
  try {
    return parseRegex(source)
  } catch (error) {
    if (!(error instanceof RegexFault)) throw error
    throw unenforceable(path, `The regular expression ${JSON.stringify(source)} (${error.message})`)
  }
}
