import type { Random } from '../../../src/core/index.ts'
import { fill, integer, pick, pickSome, type Sample } from './sample.ts'
import { words } from './words.ts'

/** A number of one to three digits, lengths about equally likely. */
function someNumber(random: Random): number {
  const digits = integer(random, 1, 3)
  return integer(random, digits === 1 ? 0 : 10 ** (digits - 1), 10 ** digits - 1)
}

/** `count` numbers: mostly two digits, else mixed lengths. */
function someNumbers(random: Random, count: number): number[] {
  const mixed = random() < 0.4
  return Array.from({ length: count }, () => (mixed ? someNumber(random) : integer(random, 10, 99)))
}

const ascending = [
  'Sort these numbers: {list}',
  'Sort {list}.',
  'Sort the numbers {list} in ascending order.',
  'Put these numbers in order: {list}',
  'Order from smallest to largest: {list}',
  'Arrange {list} from low to high.',
  'Please sort: {list}',
]
const descending = [
  'Sort {list} in descending order.',
  'Sort these numbers from largest to smallest: {list}',
  'Order from high to low: {list}',
  'Sort the numbers {list} in descending order.',
]

export function sortNumbers(random: Random, count: number): Sample {
  const numbers = someNumbers(random, count)
  const down = random() < 0.25
  const sorted = [...numbers].sort((a, b) => (down ? b - a : a - b))
  const list = numbers.join(random() < 0.15 ? ' ' : ', ')
  return {
    task: count === 4 ? 'sorting, 4 numbers' : 'sorting, 3, 5, 6 numbers',
    key: `sort:${numbers.join(',')}`,
    turns: [{ user: fill(pick(random, down ? descending : ascending), { list }), answer: sorted.join(', ') }],
    check: { kind: 'numbers', values: sorted },
  }
}

export function sortWords(random: Random): Sample {
  const chosen = pickSome(random, words, 3)
  const sorted = [...chosen].sort()
  const phrase = pick(random, [
    'Sort these words alphabetically: {list}',
    'Put in alphabetical order: {list}',
    'Sort {list} alphabetically.',
  ])
  return {
    task: 'sorting, 3 words',
    key: `words:${chosen.join(',')}`,
    turns: [{ user: fill(phrase, { list: chosen.join(', ') }), answer: sorted.join(', ') }],
    check: { kind: 'exact', text: sorted.join(', ') },
  }
}

const whichLarger = [
  'Which is larger, {a} or {b}?',
  'Which number is bigger: {a} or {b}?',
  'What is greater, {a} or {b}?',
  'Compare {a} and {b}.',
]
const whichSmaller = ['Which is smaller, {a} or {b}?', 'Which number is less: {a} or {b}?']
const isGreater = [
  'Is {a} greater than {b}?',
  'Is {a} larger than {b}?',
  'Is {a} bigger than {b}?',
  'Is {a} more than {b}?',
]
const isLess = ['Is {a} less than {b}?', 'Is {a} smaller than {b}?']

export function comparison(random: Random): Sample {
  const a = someNumber(random)
  const near = random() < 0.3
  let b = near ? a + integer(random, -9, 9) : someNumber(random)
  if (b < 0) b = a + 10
  const key = `compare:${a},${b}`
  const slots = { a: `${a}`, b: `${b}` }
  const relation = a === b ? `${a} is equal to ${b}.` : a > b ? `${a} is greater than ${b}.` : `${a} is less than ${b}.`
  const sampleOf = (phrases: readonly string[], answer: string): Sample => ({
    task: 'comparison',
    key,
    turns: [{ user: fill(pick(random, phrases), slots), answer }],
    check: { kind: 'exact', text: answer },
  })
  const kind = random()
  if (kind < 0.25) return sampleOf(isGreater, `${a > b ? 'Yes' : 'No'}, ${relation}`)
  if (kind < 0.5) return sampleOf(isLess, `${a < b ? 'Yes' : 'No'}, ${relation}`)
  if (a === b) return sampleOf(whichLarger, relation)
  if (kind < 0.65) return sampleOf(whichSmaller, `${Math.min(a, b)} is less than ${Math.max(a, b)}.`)
  return sampleOf(whichLarger, `${Math.max(a, b)} is greater than ${Math.min(a, b)}.`)
}

export function extreme(random: Random): Sample {
  const numbers = someNumbers(random, integer(random, 3, 5))
  const largest = random() < 0.5
  const value = largest ? Math.max(...numbers) : Math.min(...numbers)
  const word = pick(random, largest ? ['largest', 'biggest', 'highest'] : ['smallest', 'lowest'])
  const phrase = pick(random, [
    'What is the {word} of {list}?',
    'Which of these is the {word}: {list}?',
    'Find the {word} number: {list}',
  ])
  return {
    task: 'largest or smallest',
    key: `extreme:${numbers.join(',')}`,
    turns: [
      {
        user: fill(phrase, { word, list: numbers.join(', ') }),
        answer: `The ${largest ? 'largest' : 'smallest'} number is ${value}.`,
      },
    ],
    check: { kind: 'number', value },
  }
}

/** Counting up, down or in steps: the one task with long answers, which streaming tests like. */
export function counting(random: Random): Sample {
  const kind = random()
  const step = kind < 0.25 ? pick(random, [2, 5, 10]) : 1
  const start = kind < 0.5 ? integer(random, 0, 60) : 1
  const length = integer(random, 4, random() < 0.1 ? 40 : 20)
  const numbers = Array.from({ length }, (_, at) => start + at * step)
  const down = step === 1 && random() < 0.25
  if (down) numbers.reverse()
  const slots = { a: `${numbers[0] ?? 0}`, b: `${numbers.at(-1) ?? 0}`, step: `${step}` }
  const phrase =
    step > 1
      ? pick(random, ['Count from {a} to {b} in steps of {step}.', 'Count by {step} from {a} to {b}.'])
      : down
        ? pick(random, ['Count down from {a} to {b}.', 'Count backwards from {a} to {b}.'])
        : start === 1 && random() < 0.3
          ? 'Count to {b}.'
          : pick(random, [
              'Count from {a} to {b}.',
              'List the numbers from {a} to {b}.',
              'Write the numbers {a} to {b}.',
            ])
  return {
    task: 'counting',
    key: `count:${slots.a},${slots.b},${step}`,
    turns: [{ user: fill(phrase, slots), answer: numbers.join(', ') }],
    check: { kind: 'numbers', values: numbers },
  }
}
