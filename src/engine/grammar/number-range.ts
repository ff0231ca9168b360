import { limitError } from '../../core/index.ts'
import { automatonOf, intersectAutomata, isEmpty, type Automaton, type AutomatonState } from './automaton.ts'
import { codePoint, digits as digitPoints } from './code-points.ts'
import * as e from './expression.ts'
import type { Expression } from './expression.ts'
import { encodePlainLetters, type GrammarBuilder } from './grammar-builder.ts'
import { grammarOptions } from './options.ts'
import { choice, never, nothing, optional, range, repeat, sequence, set, text, type Pattern } from './pattern.ts'

/** What a schema says of a number. */
export interface NumberBounds {
  readonly integer: boolean
  readonly min: Bound | undefined
  readonly max: Bound | undefined
  /** All of them hold. Each > 0. */
  readonly multiplesOf: readonly number[]
}

export interface Bound {
  readonly value: number
  readonly exclusive: boolean
}

/**
 * The decimal numerals within the bounds. Up to 15 significant digits: a double holds these apart, so that none is
 * rounded onto a bound that it must not reach.
 */
export function boundedNumber(grammar: GrammarBuilder, bounds: NumberBounds): Expression {
  return grammar.shared(`number ${JSON.stringify(bounds)}`, () => {
    const { min, max } = bounds
    const positive =
      max === undefined || max.value >= 0
        ? magnitudes(bounds, min === undefined || min.value < 0 ? undefined : min, max)
        : undefined
    const negative =
      min === undefined || min.value < 0
        ? magnitudes(bounds, max === undefined || max.value > 0 ? undefined : mirrored(max), min && mirrored(min))
        : undefined
    const write = (automaton: Automaton | undefined): Expression =>
      automaton === undefined || isEmpty(automaton)
        ? e.never
        : grammar.automaton('digits', automaton, encodePlainLetters)
    const below = write(negative)
    return e.choice(write(positive), below === e.never ? e.never : e.sequence(e.text('-'), below))
  })
}

function mirrored({ value, exclusive }: Bound): Bound {
  return { value: -value, exclusive }
}

/** Numerals without a sign, between two bounds that are not negative. */
function magnitudes(bounds: NumberBounds, least: Bound | undefined, most: Bound | undefined): Automaton {
  const parts = [least, most].map((bound) => (bound === undefined ? undefined : decimalOf(bound.value)))
  const wholeDigits = Math.max(...parts.map((part) => part?.whole.length ?? 0), bounds.integer ? 15 : 9)
  const fractionDigits = Math.min(
    Math.max(0, 15 - Math.max(...parts.map((part) => part?.whole.length ?? 1))),
    Math.max(6, ...parts.map((part) => part?.fraction.length ?? 0)),
  )
  const fraction = bounds.integer || fractionDigits === 0 ? nothing : optional(fractionOf(1, fractionDigits))
  const automata = [automatonOf(sequence(wholeOf(wholeDigits), fraction))]
  if (least !== undefined) automata.push(automatonOf(atLeast(decimalOf(least.value), least.exclusive, wholeDigits)))
  if (most !== undefined) automata.push(automatonOf(atMost(decimalOf(most.value), most.exclusive)))
  for (const divisor of bounds.multiplesOf) automata.push(multiplesAutomaton(divisor))
  return automata.reduce(intersectAutomata)
}

interface Decimal {
  /** Without leading zeros, but `0`. */
  readonly whole: string
  /** Without trailing zeros; empty for an integer. */
  readonly fraction: string
}

function decimalOf(value: number): Decimal {
  const plain = Number.isInteger(value)
    ? BigInt(value).toString()
    : /e/.test(String(value))
      ? value.toFixed(20)
      : String(value)
  const [whole = '0', fraction = ''] = plain.split('.')
  return { whole, fraction: fraction.replace(/0+$/, '') }
}

const digit: Pattern = set(digitPoints)
const anyDigits: Pattern = repeat(digit, 0)

function wholeOf(most: number): Pattern {
  return choice(text('0'), sequence(range('1', '9'), repeat(digit, 0, most - 1)))
}

function fractionOf(least: number, most: number | undefined): Pattern {
  return sequence(text('.'), repeat(digit, least, most))
}

const anyFraction: Pattern = optional(sequence(text('.'), digit, anyDigits))

/** Numerals of at least this value: a larger whole part, or the same and enough behind the point. */
function atLeast({ whole, fraction }: Decimal, exclusive: boolean, wholeDigits: number): Pattern {
  const zeros = repeat(text('0'), 0)
  const reaches: Pattern[] = Array.from(fraction).map((_, at) =>
    sequence(text(fraction.slice(0, at)), above(fraction[at] ?? '9'), anyDigits),
  )
  const equal = exclusive ? sequence(anyDigits, range('1', '9'), anyDigits) : anyDigits
  reaches.push(sequence(text(fraction), equal))
  const behindPoint =
    fraction === '' && !exclusive
      ? anyFraction
      : sequence(text('.'), choice(...reaches), fraction === '' ? zeros : nothing)
  return choice(sequence(wholeAbove(whole, wholeDigits), anyFraction), sequence(text(whole), behindPoint))
}

/** Numerals of at most this value. */
function atMost({ whole, fraction }: Decimal, exclusive: boolean): Pattern {
  const ways: Pattern[] = [sequence(wholeBelow(whole), anyFraction)]
  if (fraction !== '' || !exclusive) ways.push(text(whole))
  const smaller = Array.from(fraction).map((_, at) =>
    choice(
      sequence(text(fraction.slice(0, at)), below(fraction[at] ?? '0'), anyDigits),
      at === 0 ? never : text(fraction.slice(0, at)),
    ),
  )
  const zeros = repeat(text('0'), 0)
  if (!exclusive) smaller.push(fraction === '' ? repeat(text('0'), 1) : sequence(text(fraction), zeros))
  ways.push(sequence(text(whole), text('.'), choice(...smaller)))
  return choice(...ways)
}

/** Whole numbers greater than this one, up to so many digits. */
function wholeAbove(whole: string, mostDigits: number): Pattern {
  const sameLength = Array.from(whole).map((letter, at) =>
    sequence(text(whole.slice(0, at)), above(letter), repeat(digit, whole.length - at - 1, whole.length - at - 1)),
  )
  const longer =
    mostDigits > whole.length ? sequence(range('1', '9'), repeat(digit, whole.length, mostDigits - 1)) : never
  return choice(...sameLength, longer)
}

/** Whole numbers less than this one. */
function wholeBelow(whole: string): Pattern {
  if (whole === '0') return never
  const sameLength = Array.from(whole).map((letter, at) => {
    const smaller = at === 0 && whole.length > 1 ? between('1', letter) : below(letter)
    return sequence(text(whole.slice(0, at)), smaller, repeat(digit, whole.length - at - 1, whole.length - at - 1))
  })
  const shorter =
    whole.length > 1 ? choice(text('0'), sequence(range('1', '9'), repeat(digit, 0, whole.length - 2))) : never
  return choice(...sameLength, shorter)
}

function above(letter: string): Pattern {
  return letter === '9' ? never : range(String(Number(letter) + 1), '9')
}

function below(letter: string): Pattern {
  return between('0', letter)
}

/** From the first digit up to, and without, the second. */
function between(first: string, end: string): Pattern {
  return first < end ? range(first, String(Number(end) - 1)) : never
}

/**
 * Numerals that are multiples of a decimal M/10ᵏ: reading digits keeps the remainder of the number so far modulo M,
 * scaled to k digits behind the point.
 */
function multiplesAutomaton(divisor: number): Automaton {
  const { whole, fraction } = decimalOf(divisor)
  const places = fraction.length
  const modulus = Number(whole + fraction)
  const count = modulus * (places + 2)
  const maximum = grammarOptions.maxAutomatonStates.default
  if (!(modulus >= 1) || count > maximum) {
    const limit = { name: 'maxAutomatonStates', maximum, unit: 'states' }
    throw limitError(limit, count, `The number range for multipleOf ${divisor}`, 'Use a smaller multipleOf.')
  }
  // States: [0, M) inside the whole part; then for each number of places behind the point again M of them.
  const stateOf = (placesRead: number, remainder: number): number => (placesRead + 1) * modulus + remainder
  const states: AutomatonState[] = []
  for (let remainder = 0; remainder < modulus; remainder += 1) {
    states[remainder] = {
      accepts: (remainder * 10 ** places) % modulus === 0,
      edges: [
        ...digitEdges((value) => (remainder * 10 + value) % modulus),
        ...(places > 0 ? [{ set: codePoint(0x2e), to: stateOf(0, remainder) }] : []),
      ],
    }
    if (places === 0) continue
    for (let read = 0; read <= places; read += 1) {
      states[stateOf(read, remainder)] = {
        accepts: read > 0 && (remainder * 10 ** (places - read)) % modulus === 0,
        edges: read < places ? digitEdges((value) => stateOf(read + 1, (remainder * 10 + value) % modulus)) : [],
      }
    }
  }
  return { states }
}

function digitEdges(next: (value: number) => number): AutomatonState['edges'] {
  return Array.from({ length: 10 }, (_, value) => ({ set: codePoint(0x30 + value), to: next(value) }))
}
