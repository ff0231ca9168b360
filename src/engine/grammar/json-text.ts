import { codePoint, codePointRange, digits, unite } from './code-points.ts'
import { choice, optional, repeat, sequence, set, text, type Expression } from './expression.ts'
import type { GrammarBuilder } from './grammar-builder.ts'

/**
 * JSON as models write it: on one line or indented, never with white space without end, which small models fall
 * into. Between tokens stands nothing, a space, or a line end with up to 32 spaces.
 */
export function jsonSpace(grammar: GrammarBuilder): Expression {
  return grammar.shared('ws', () => choice(text(' '), sequence(text('\n'), repeat(text(' '), 0, 32)), sequence()))
}

/** What stands between a key and its value. */
export const colon: Expression = sequence(text(':'), optional(text(' ')))

export function separator(grammar: GrammarBuilder): Expression {
  return sequence(text(','), jsonSpace(grammar))
}

/**
 * One character inside quotes. Escapes of surrogates are left out: two of them would count as one character against
 * length bounds, one alone would be no text.
 */
export function jsonLetter(grammar: GrammarBuilder): Expression {
  return grammar.shared('char', () => {
    const hex = set(hexDigits)
    const escaped = choice(
      set(unite(Array.from('"\\/bfnrt', (letter) => codePoint(letter.codePointAt(0) ?? 0)))),
      sequence(text('u'), set(unite([digits, codePointRange(0x61, 0x63), codePointRange(0x65, 0x66)])), hex, hex, hex),
      sequence(text('ud'), set(codePointRange(0x30, 0x37)), hex, hex),
    )
    return choice(
      set([0x20, 0x21, 0x23, 0x5b, 0x5d, 0x7e, 0x80, 0xd7ff, 0xe000, 0x10ffff]),
      sequence(text('\\'), escaped),
    )
  })
}

const hexDigits = unite([digits, codePointRange(0x61, 0x66)])

export function jsonString(grammar: GrammarBuilder): Expression {
  return grammar.shared('string', () => sequence(text('"'), repeat(jsonLetter(grammar), 0, undefined), text('"')))
}

/** Up to 15 digits: what a double holds exactly. */
export function jsonInteger(grammar: GrammarBuilder): Expression {
  return grammar.shared('integer', () =>
    sequence(
      optional(text('-')),
      choice(text('0'), sequence(set(codePointRange(0x31, 0x39)), repeat(set(digits), 0, 14))),
    ),
  )
}

export function jsonNumber(grammar: GrammarBuilder): Expression {
  return grammar.shared('number', () =>
    sequence(
      jsonInteger(grammar),
      optional(sequence(text('.'), repeat(set(digits), 1, 15))),
      optional(
        sequence(
          set(unite([codePoint(0x65), codePoint(0x45)])),
          optional(set(unite([codePoint(0x2b), codePoint(0x2d)]))),
          repeat(set(digits), 1, 2),
        ),
      ),
    ),
  )
}

export function jsonBoolean(grammar: GrammarBuilder): Expression {
  return grammar.shared('boolean', () => choice(text('true'), text('false')))
}

/** Any object. */
export function jsonObject(grammar: GrammarBuilder): Expression {
  return grammar.shared('object', () => {
    const space = jsonSpace(grammar)
    const member = grammar.rule('member', sequence(jsonString(grammar), colon, jsonValue(grammar)))
    return braced(
      '{',
      '}',
      optional(sequence(member, repeat(sequence(separator(grammar), member), 0, undefined))),
      space,
    )
  })
}

/** Any array. */
export function jsonArray(grammar: GrammarBuilder): Expression {
  return grammar.shared('array', () => {
    const value = jsonValue(grammar)
    const space = jsonSpace(grammar)
    return braced('[', ']', optional(sequence(value, repeat(sequence(separator(grammar), value), 0, undefined))), space)
  })
}

/** Any JSON value. */
export function jsonValue(grammar: GrammarBuilder): Expression {
  return grammar.shared('value', () =>
    choice(
      jsonObject(grammar),
      jsonArray(grammar),
      jsonString(grammar),
      jsonNumber(grammar),
      jsonBoolean(grammar),
      text('null'),
    ),
  )
}

/** The content between brackets, with white space inside them. */
export function braced(open: string, close: string, content: Expression, space: Expression): Expression {
  return sequence(text(open), space, content, space, text(close))
}
