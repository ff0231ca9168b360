import { createHash } from 'node:crypto'
import type { Random } from '../../../src/core/index.ts'

/** A JSON value, as tool arguments and extracted records hold them. */
export type Json = string | number | boolean | null | readonly Json[] | { readonly [key: string]: Json }

/** A function that the model may call. `parameters` maps each argument to its JSON type; a trailing `?` makes it optional. */
export interface Tool {
  readonly name: string
  readonly description: string
  readonly parameters: Readonly<Record<string, string>>
}

export interface Call {
  readonly name: string
  readonly arguments: { readonly [key: string]: Json }
}

/** What the assistant does in one turn: tool calls with their results, then (unless the sample ends with the calls) words. */
export interface Turn {
  readonly user: string
  readonly calls?: readonly Call[]
  readonly results?: readonly Json[]
  readonly answer?: string
}

/** How the last step of a sample is judged in the evaluation. */
export type Check =
  | { readonly kind: 'number'; readonly value: number }
  | { readonly kind: 'numbers'; readonly values: readonly number[] }
  | { readonly kind: 'exact'; readonly text: string }
  | { readonly kind: 'contains'; readonly text: string }
  | { readonly kind: 'facts'; readonly facts: readonly string[] }
  | { readonly kind: 'json'; readonly value: Json }
  | { readonly kind: 'calls'; readonly calls: readonly Call[] }

/** One task with its right answer. The earlier turns are its context; the last one is what is asked. */
export interface Sample {
  /** Task name, the row of the evaluation's table. */
  readonly task: string
  /** The canonical content, whatever the phrasing: equal keys are the same problem. Decides the split. */
  readonly key: string
  readonly turns: readonly Turn[]
  readonly tools?: readonly Tool[]
  readonly check: Check
}

/** Makes one sample of a task. */
export type Task = (random: Random) => Sample

/** One problem in this many is held out of training. */
export const heldOutEvery = 16

/** Whether a problem belongs to the evaluation and may never be trained on: by hash of its canonical content. */
export function isHeldOut(key: string): boolean {
  return createHash('sha256').update(key).digest().readUInt32LE(0) % heldOutEvery === 0
}

/** An integer with low ≤ value ≤ high. */
export function integer(random: Random, low: number, high: number): number {
  return low + Math.floor(random() * (high - low + 1))
}

export function pick<T>(random: Random, values: readonly T[]): T {
  const value = values[Math.floor(random() * values.length)]
  if (value === undefined) throw new RangeError('Cannot pick from an empty list.')
  return value
}

/** `count` different values, in random order. */
export function pickSome<T>(random: Random, values: readonly T[], count: number): T[] {
  const rest = [...values]
  const chosen: T[] = []
  while (chosen.length < count && rest.length > 0) {
    chosen.push(...rest.splice(Math.floor(random() * rest.length), 1))
  }
  return chosen
}

/** A value by weight. */
export function pickWeighted<T>(random: Random, entries: readonly (readonly [T, number])[]): T {
  const total = entries.reduce((sum, [, weight]) => sum + weight, 0)
  let at = random() * total
  for (const [value, weight] of entries) {
    at -= weight
    if (at < 0) return value
  }
  return pick(random, entries)[0]
}

/** The text with each `{name}` replaced by its value. */
export function fill(text: string, values: Readonly<Record<string, string>>): string {
  return text.replaceAll(/\{(\w+)\}/g, (slot, name: string) => values[name] ?? slot)
}

/** A value as a sentence shows it: text bare, everything else as JSON. */
export function inWords(value: Json): string {
  return typeof value === 'string' ? value : JSON.stringify(value)
}
