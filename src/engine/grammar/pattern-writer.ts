import { codePoint, complement, contains, intersect, type CodePoints } from './code-points.ts'
import { choice, never, nothing, repeat, sequence, set, text, type Expression } from './expression.ts'
import type { GrammarBuilder } from './grammar-builder.ts'
import type { Notation } from './notation.ts'
import type { Pattern } from './pattern.ts'

/** A pattern without anchors as rules: a count costs a few rules, however large it is. */
export function writeDirectly(grammar: GrammarBuilder, pattern: Pattern, notation: Notation): Expression {
  switch (pattern.kind) {
    case 'set':
      return letter(without(pattern.set, notation.mark), notation)
    case 'sequence':
      return sequence(...pattern.items.map((item) => writeDirectly(grammar, item, notation)))
    case 'choice':
      return choice(...pattern.options.map((option) => writeDirectly(grammar, option, notation)))
    case 'repeat': {
      const { item, min, max } = pattern
      if (item.kind === 'set') return repeatedLetters(grammar, item.set, min, max, notation)
      return repeat(grammar.rule('part', writeDirectly(grammar, item, notation)), min, max)
    }
    default:
      return nothing
  }
}

/**
 * Letters of the set, so many of them. Where a mark must not appear among them, its first letter is followed by one
 * that does not continue it; such groups count as their longest, so that texts with many of them are a little shorter
 * than allowed.
 */
export function repeatedLetters(
  grammar: GrammarBuilder,
  points: CodePoints,
  min: number,
  max: number | undefined,
  notation: Notation,
): Expression {
  const { mark } = notation
  const plain = letter(without(points, mark), notation)
  const first = mark?.codePointAt(0) ?? 0
  const second = mark?.codePointAt(1)
  if (mark === undefined || second === undefined || !contains(points, first)) return repeat(plain, min, max)
  const other = letter(intersect(without(points, mark), complement(codePoint(second))), notation)
  const mark1 = text(String.fromCodePoint(first))
  const group = grammar.shared(`letters ${JSON.stringify(points)} without ${mark}`, () =>
    choice(plain, sequence(mark1, other), sequence(mark1, mark1, other)),
  )
  if (max === undefined) return repeat(group, min, undefined)
  const most = Math.floor(max / 3)
  return most < min ? repeat(plain, min, max) : choice(repeat(plain, min, max), repeat(group, min, most))
}

function without(points: CodePoints, mark: string | undefined): CodePoints {
  return mark === undefined ? points : intersect(points, complement(codePoint(mark.codePointAt(0) ?? 0)))
}

function letter(points: CodePoints, notation: Notation): Expression {
  if (points.length === 0) return never
  const options = notation.encode(points)
  return options.length === 1 ? (options[0] ?? set(points)) : choice(...options)
}
