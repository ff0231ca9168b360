import { TokenmillError } from '../../core/index.ts'
import {
  accepts,
  automatonOf,
  complementAutomaton,
  intersectAutomata,
  isEmpty,
  searchAutomatonOf,
  type Automaton,
} from './automaton.ts'
import { anyCodePoint } from './code-points.ts'
import type { Enforcement } from './enforcement.ts'
import { never, repeat, sequence, text, type Expression } from './expression.ts'
import { jsonLetter } from './json-text.ts'
import type { Notation } from './notation.ts'
import * as pattern from './pattern.ts'
import { lengthsOf, shortened, sizeOf, wholePattern } from './pattern-length.ts'
import { repeatedLetters, writeDirectly } from './pattern-writer.ts'
import { parseRegex, RegexFault } from './regex-parser.ts'
import { readBound, type ValueWriter } from './schema-writer.ts'
import { invalidSchema, type SchemaObject } from './schema-keywords.ts'
import { stringFormats } from './string-formats.ts'
import { textWithout } from './text-without.ts'

/** A text that satisfies the schema, in the notation: the writer's own, or the one given. */
export function writeString(
  writer: ValueWriter,
  schema: SchemaObject,
  path: string,
  notation: Notation = writer.notation,
): Expression {
  const { grammar, enforcement } = writer
  const { patterns, min, max } = readDemands(schema, path, enforcement)
  if (max !== undefined && max < min) return never
  const quoted = (letters: Expression): Expression => sequence(text(notation.open), letters, text(notation.close))
  const key = `string ${notation.name} ${JSON.stringify([schema['pattern'], schema['format'], min, max])}`
  return grammar.shared(key, () => {
    if (patterns.length === 0) return quoted(writeLetters(writer, notation, min, max))
    const keyword = 'pattern' in schema ? 'pattern' : 'format'
    return enforcement.attempt(
      keyword,
      () => {
        const letters = writePatterns(writer, notation, patterns, min, max)
        return letters === never ? never : quoted(letters)
      },
      () => quoted(writeLetters(writer, notation, min, max)),
    )
  })
}

/** What a schema demands of a text. */
interface TextDemands {
  readonly patterns: readonly pattern.Pattern[]
  readonly min: number
  readonly max: number | undefined
}

function readDemands(schema: SchemaObject, path: string, enforcement: Enforcement): TextDemands {
  const patterns: pattern.Pattern[] = []
  for (const source of [schema['pattern'] ?? []].flat()) {
    if (typeof source !== 'string') throw invalidSchema(`${path}.pattern`, 'a regular expression belongs here')
    const parsed = parse(source)
    if (typeof parsed === 'string') enforcement.lacks(path, 'pattern', parsed)
    else patterns.push(parsed)
  }
  for (const format of [schema['format'] ?? []].flat()) {
    const source =
      typeof format === 'string' && Object.hasOwn(stringFormats, format) ? stringFormats[format] : undefined
    const parsed = source === undefined ? undefined : parse(source)
    if (parsed === undefined || typeof parsed === 'string') {
      const known = Object.keys(stringFormats).join(', ')
      enforcement.lacks(path, 'format', `The format ${JSON.stringify(format)} (known ones: ${known})`)
    } else patterns.push(parsed)
  }
  const min = readBound(schema, 'minLength', path) ?? 0
  return { patterns, min, max: readBound(schema, 'maxLength', path) }
}

/** Why it cannot be held, as text. */
function parse(source: string): pattern.Pattern | string {
  try {
    return parseRegex(source)
  } catch (error) {
    if (!(error instanceof RegexFault)) throw error
    return `The regular expression ${JSON.stringify(source)} (${error.message})`
  }
}

/** Any letters, within the length. */
function writeLetters({ grammar }: ValueWriter, notation: Notation, min: number, max: number | undefined): Expression {
  const { mark } = notation
  if (mark === undefined) return repeat(jsonLetter(grammar), min, max)
  if (min === 0 && max === undefined) return textWithout(grammar, mark)
  const cost = (max ?? min) * mark.length
  if (cost > mostUnrolled) return repeatedLetters(grammar, anyCodePoint, min, max, notation)
  return grammar.automaton('s', intersectAutomata(lengthAutomaton(min, max), withoutMark(mark)), notation.encode)
}

/** Characters that a pattern may have once its counts are written out: what is larger is counted by rules, not by states. */
const mostUnrolled = 1200

/**
 * One state for each place in the patterns and each length, which is exact, or where that would be too many, one pattern
 * with its counts as rules, made shorter where the longest text is too long.
 */
function writePatterns(
  { grammar }: ValueWriter,
  notation: Notation,
  patterns: readonly pattern.Pattern[],
  min: number,
  max: number | undefined,
): Expression {
  const [only] = patterns
  const whole = only !== undefined && patterns.length === 1 ? wholePattern(only) : undefined
  const lengths = whole === undefined ? { min: 0, max: Infinity } : lengthsOf(whole)
  // A length that every text of the pattern has, or none can pass, binds nothing.
  const bounds = { min: lengths.min >= min ? 0 : min, max: lengths.max <= (max ?? Infinity) ? undefined : max }
  const factor = Math.max(bounds.min, bounds.max ?? 0) + 1
  const cost = patterns.reduce((sum, each) => sum + sizeOf(each), 0) * factor
  if (cost > mostUnrolled && whole !== undefined && bounds.min === 0) {
    const fitting = bounds.max === undefined ? whole : shortened(whole, bounds.max)
    return fitting === undefined ? never : writeDirectly(grammar, fitting, notation)
  }
  if (whole?.kind === 'repeat' && whole.item.kind === 'set') {
    const least = Math.max(whole.min, min)
    const most = Math.min(whole.max ?? Infinity, max ?? Infinity)
    if (most < least) return never
    return repeatedLetters(grammar, whole.item.set, least, most === Infinity ? undefined : most, notation)
  }
  const automata = patterns.map(searchAutomatonOf)
  if (bounds.min > 0 || bounds.max !== undefined) automata.push(lengthAutomaton(bounds.min, bounds.max))
  if (notation.mark !== undefined) automata.push(withoutMark(notation.mark))
  const automaton = automata.reduce(intersectAutomata)
  return isEmpty(automaton) ? never : grammar.automaton('s', automaton, notation.encode)
}

/** The texts that satisfy the schema's patterns, formats and lengths; undefined where it has none of them. */
export function stringAutomaton(schema: SchemaObject, path: string, enforcement: Enforcement): Automaton | undefined {
  const { patterns, min, max } = readDemands(schema, path, enforcement)
  const automata = patterns.map(searchAutomatonOf)
  if (min > 0 || max !== undefined) automata.push(lengthAutomaton(min, max))
  return automata.length === 0 ? undefined : automata.reduce(intersectAutomata)
}

/** Whether the text satisfies the schema's patterns, formats and lengths. */
export function acceptsText(schema: SchemaObject, path: string, value: string, enforcement: Enforcement): boolean {
  const { patterns, min, max } = readDemands(schema, path, enforcement)
  const length = Array.from(value).length
  return length >= min && length <= (max ?? Infinity) && patterns.every((each) => matches(each, value))
}

function matches(each: pattern.Pattern, value: string): boolean {
  try {
    return accepts(searchAutomatonOf(each), value)
  } catch (error) {
    // A pattern too large for an automaton forbids no constant: its author knows them.
    if (error instanceof TokenmillError && error.code === 'limit_exceeded') return true
    throw error
  }
}

function withoutMark(mark: string): Automaton {
  return complementAutomaton(searchAutomatonOf(pattern.text(mark)))
}

function lengthAutomaton(min: number, max: number | undefined): Automaton {
  return automatonOf(pattern.repeat(pattern.set(anyCodePoint), min, max))
}
