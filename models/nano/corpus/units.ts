import type { Random } from '../../../src/core/index.ts'
import { fill, integer, pick, type Sample } from './sample.ts'

/** One large unit is `factor` small ones. `most` bounds the large side so that the products stay learnable. */
interface Pair {
  readonly large: readonly [one: string, many: string]
  readonly small: readonly [one: string, many: string]
  readonly factor: number
  readonly most: number
}

const pairs: readonly Pair[] = [
  { large: ['kilometer', 'kilometers'], small: ['meter', 'meters'], factor: 1000, most: 99 },
  { large: ['meter', 'meters'], small: ['centimeter', 'centimeters'], factor: 100, most: 99 },
  { large: ['centimeter', 'centimeters'], small: ['millimeter', 'millimeters'], factor: 10, most: 99 },
  { large: ['kilogram', 'kilograms'], small: ['gram', 'grams'], factor: 1000, most: 99 },
  { large: ['liter', 'liters'], small: ['milliliter', 'milliliters'], factor: 1000, most: 99 },
  { large: ['hour', 'hours'], small: ['minute', 'minutes'], factor: 60, most: 24 },
  { large: ['minute', 'minutes'], small: ['second', 'seconds'], factor: 60, most: 24 },
  { large: ['day', 'days'], small: ['hour', 'hours'], factor: 24, most: 14 },
  { large: ['week', 'weeks'], small: ['day', 'days'], factor: 7, most: 20 },
  { large: ['year', 'years'], small: ['month', 'months'], factor: 12, most: 20 },
  { large: ['second', 'seconds'], small: ['millisecond', 'milliseconds'], factor: 1000, most: 99 },
  { large: ['gigabyte', 'gigabytes'], small: ['megabyte', 'megabytes'], factor: 1000, most: 99 },
  { large: ['byte', 'bytes'], small: ['bit', 'bits'], factor: 8, most: 32 },
]

const phrases = [
  'How many {to} are in {x} {from}?',
  'Convert {x} {from} to {to}.',
  'How many {to} is {x} {from}?',
  'What is {x} {from} in {to}?',
  '{x} {from} in {to}',
]

export function unitConversion(random: Random): Sample {
  const { large, small, factor, most } = pick(random, pairs)
  const count = integer(random, 1, most)
  const down = random() < 0.65
  const name = (unit: readonly [string, string], amount: number) => unit[amount === 1 ? 0 : 1]
  const [amount, value] = down ? [count, count * factor] : [count * factor, count]
  const [from, to] = down ? [large, small] : [small, large]
  const slots = { x: `${amount}`, from: name(from, amount), to: to[1] }
  return {
    task: 'unit conversion',
    key: `convert:${amount} ${from[1]} ${to[1]}`,
    turns: [
      { user: fill(pick(random, phrases), slots), answer: `${amount} ${slots.from} = ${value} ${name(to, value)}.` },
    ],
    check: { kind: 'contains', text: `= ${value} ${name(to, value)}` },
  }
}
