import type { CodePoints } from './code-points.ts'
import { choice, nothing, optional, repeat, sequence, set, text, type Expression } from './expression.ts'
import { codePoint, codePointRange, digits, unite } from './code-points.ts'
import { encodeJsonLetters, encodePlainLetters, type GrammarBuilder } from './grammar-builder.ts'
import { colon, jsonBoolean, jsonNumber, jsonSpace, jsonValue, separator } from './json-text.ts'
import { textWithout } from './text-without.ts'

/** How values are written: as JSON, or as a family of models writes them. */
export interface Notation {
  readonly name: string
  /** Around a text. */
  readonly open: string
  readonly close: string
  readonly encode: (points: CodePoints) => readonly Expression[]
  /** What a text must not contain, where its letters are not escaped. */
  readonly mark: string | undefined
  /** A name that the schema gives to a member. */
  key(name: string): string
  /** Around a name that it does not give. */
  readonly quotesKeys: boolean
  readonly colon: Expression
  comma(grammar: GrammarBuilder): Expression
  /** Between brackets and what they hold. */
  space(grammar: GrammarBuilder): Expression
  anyValue(grammar: GrammarBuilder): Expression
}

export const jsonNotation: Notation = {
  name: 'json',
  open: '"',
  close: '"',
  encode: encodeJsonLetters,
  mark: undefined,
  key: (name) => JSON.stringify(name),
  quotesKeys: true,
  colon,
  comma: separator,
  space: jsonSpace,
  anyValue: jsonValue,
}

/** Texts as they are, up to a mark: arguments in tags. */
export function bareNotation(mark: string): Notation {
  return { ...jsonNotation, name: `bare ${mark}`, open: '', close: '', encode: encodePlainLetters, mark }
}

/** Gemma's: `{city:<|"|>Oslo<|"|>,days:[1,2]}`. */
export const gemmaNotation: Notation = {
  name: 'gemma',
  open: '<|"|>',
  close: '<|"|>',
  encode: encodePlainLetters,
  mark: '<|"|>',
  key: (name) => name,
  quotesKeys: false,
  colon: text(':'),
  comma: () => text(','),
  space: () => nothing,
  anyValue: gemmaValue,
}

/** Keyword arguments whose values are JSON: `city="Oslo", days=[1, 2]`. */
export const keywordNotation: Notation = {
  ...jsonNotation,
  name: 'keywords',
  key: (name) => name,
  quotesKeys: false,
  colon: text('='),
  space: () => nothing,
}

function gemmaValue(grammar: GrammarBuilder): Expression {
  return grammar.shared('gemma value', () => {
    const value = gemmaValue(grammar)
    const member = grammar.rule('gemma member', sequence(bareKey(grammar), text(':'), value))
    const list = (item: Expression): Expression =>
      optional(sequence(item, repeat(sequence(text(','), item), 0, undefined)))
    return choice(
      sequence(text('<|"|>'), textWithout(grammar, '<|"|>'), text('<|"|>')),
      jsonNumber(grammar),
      jsonBoolean(grammar),
      text('null'),
      sequence(text('{'), list(member), text('}')),
      sequence(text('['), list(value), text(']')),
    )
  })
}

/** A name without quotes, for members that a schema does not name. */
export function bareKey(grammar: GrammarBuilder): Expression {
  return grammar.shared('key', () => repeat(set(bareKeyLetters), 1, undefined))
}

export const bareKeyLetters: CodePoints = unite([
  codePointRange(0x41, 0x5a),
  codePointRange(0x61, 0x7a),
  digits,
  codePoint(0x5f),
])
