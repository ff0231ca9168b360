import type { Random } from '../../../src/core/index.ts'
import { fill, integer, pick, type Sample } from './sample.ts'
import { firstName, items } from './words.ts'

/** One problem: two numbers under an operation. `÷` is always exact. */
export interface Problem {
  readonly left: number
  readonly sign: '+' | '-' | '*' | '/'
  readonly right: number
}

export function valueOf({ left, sign, right }: Problem): number {
  if (sign === '+') return left + right
  if (sign === '-') return left - right
  return sign === '*' ? left * right : left / right
}

const phrasings: Readonly<Record<Problem['sign'], readonly string[]>> = {
  '+': [
    'What is {a} plus {b}?',
    'Add {a} and {b}.',
    'What is the sum of {a} and {b}?',
    'Add {b} to {a}.',
    '{a} plus {b}',
  ],
  '-': [
    'What is {a} minus {b}?',
    'Subtract {b} from {a}.',
    'Take {b} away from {a}.',
    '{a} minus {b}',
    'How much is {a} minus {b}?',
  ],
  '*': ['What is {a} times {b}?', 'Multiply {a} by {b}.', 'What is the product of {a} and {b}?', '{a} times {b}'],
  '/': ['What is {a} divided by {b}?', 'Divide {a} by {b}.', 'How often does {b} go into {a}?', '{a} divided by {b}'],
}
const symbolic = [
  'What is {a} {s} {b}?',
  '{a} {s} {b}',
  '{a}{s}{b}',
  '{a} {s} {b} = ?',
  'Calculate {a} {s} {b}.',
  'Compute {a} {s} {b}.',
  'How much is {a} {s} {b}?',
  'Solve {a} {s} {b}.',
  "What's {a} {s} {b}?",
  'Please calculate {a} {s} {b}.',
]
const briefly = [' Answer with the number only.', ' Only the number, please.', ' Reply with just the number.']

/** The problem in words or symbols. */
export function ask(random: Random, problem: Problem): string {
  const phrase = pick(random, random() < 0.6 ? symbolic : phrasings[problem.sign])
  return fill(phrase, { a: `${problem.left}`, b: `${problem.right}`, s: problem.sign })
}

export function equation(problem: Problem): string {
  return `${problem.left} ${problem.sign} ${problem.right} = ${valueOf(problem)}`
}

function sampleOf(random: Random, task: string, problem: Problem): Sample {
  const value = valueOf(problem)
  const terse = random() < 0.12
  const user = ask(random, problem) + (terse ? pick(random, briefly) : '')
  return {
    task,
    key: `${problem.left}${problem.sign}${problem.right}`,
    turns: [{ user, answer: terse ? `${value}` : `${equation(problem)}.` }],
    check: { kind: 'number', value },
  }
}

/** A number with at most `digits` digits, evenly over the lengths' ranges. */
function upTo(random: Random, digits: number): number {
  return digits === 1 || random() < 0.2 ? integer(random, 0, 9) : integer(random, 10 ** (digits - 1), 10 ** digits - 1)
}

export function addition2(random: Random): Sample {
  return sampleOf(random, 'addition, 2 digits', { left: upTo(random, 2), sign: '+', right: upTo(random, 2) })
}

/** Sums and differences of single digits: few, and all the more often asked. */
export function smallSum(random: Random): Sample {
  const [left, right] = [integer(random, 0, 9), integer(random, 0, 9)]
  const task = 'sums and differences, 1 digit'
  return random() < 0.6
    ? sampleOf(random, task, { left, sign: '+', right })
    : sampleOf(random, task, { left: Math.max(left, right), sign: '-', right: Math.min(left, right) })
}

/** One in eight goes below zero. */
export function subtraction2(random: Random): Sample {
  const numbers = [upTo(random, 2), upTo(random, 2)] as const
  const below = random() < 0.125
  const [left, right] = [Math.max(...numbers), Math.min(...numbers)]
  return sampleOf(random, 'subtraction, 2 digits', {
    left: below ? right : left,
    sign: '-',
    right: below ? left : right,
  })
}

export function multiplication(random: Random): Sample {
  const left = random() < 0.5 ? integer(random, 0, 12) : integer(random, 10, 99)
  const problem: Problem = { left, sign: '*', right: integer(random, 0, left > 12 ? 9 : 12) }
  return sampleOf(random, 'multiplication', problem)
}

export function division(random: Random): Sample {
  const right = integer(random, 1, 12)
  return sampleOf(random, 'division', { left: right * integer(random, 0, 12), sign: '/', right })
}

/** Sums and differences of 3-digit numbers, and their products with one digit. */
export function arithmetic3(random: Random): Sample {
  const left = integer(random, 100, 999)
  const right = integer(random, 100, 999)
  const kind = random()
  if (kind < 0.38) return sampleOf(random, 'arithmetic, 3 digits', { left, sign: '+', right })
  if (kind < 0.76) {
    return sampleOf(random, 'arithmetic, 3 digits', {
      left: Math.max(left, right),
      sign: '-',
      right: Math.min(left, right),
    })
  }
  return sampleOf(random, 'arithmetic, 3 digits', { left, sign: '*', right: integer(random, 2, 9) })
}

const stories = [
  { sign: '+', text: '{name} has {a} {items} and buys {b} more. How many {items} does {name} have now?' },
  { sign: '+', text: 'There are {a} {items} on the table and {b} in the bag. How many {items} are there in all?' },
  { sign: '-', text: '{name} has {a} {items} and gives away {b}. How many {items} are left?' },
  { sign: '-', text: 'A box holds {a} {items}. {name} takes out {b}. How many {items} remain?' },
  { sign: '*', text: '{name} buys {a} boxes with {b} {items} each. How many {items} is that?' },
] as const

export function wordProblem(random: Random): Sample {
  const { sign, text } = pick(random, stories)
  const numbers = [integer(random, 2, sign === '*' ? 9 : 60), integer(random, 2, sign === '*' ? 9 : 39)].sort(
    (a, b) => b - a,
  )
  const [left = 0, right = 0] = numbers
  const problem: Problem = { left, sign, right }
  const item = pick(random, items)
  const value = valueOf(problem)
  return {
    task: 'word problem',
    key: `word:${left}${sign}${right}:${item}`,
    turns: [
      {
        user: fill(text, { name: firstName(random), items: item, a: `${left}`, b: `${right}` }),
        answer: `${equation(problem)}, so the answer is ${value} ${item}.`,
      },
    ],
    check: { kind: 'contains', text: `${value} ${item}` },
  }
}
