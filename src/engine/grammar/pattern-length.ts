import { anyCodePoint } from './code-points.ts'
import { choice, repeat, sequence, set, type Pattern } from './pattern.ts'

/** Shortest and longest text of a pattern, in characters; Infinity without end. */
export interface Lengths {
  readonly min: number
  readonly max: number
}

export function lengthsOf(pattern: Pattern): Lengths {
  switch (pattern.kind) {
    case 'set':
      return { min: 1, max: 1 }
    case 'sequence':
      return pattern.items.map(lengthsOf).reduce(add, { min: 0, max: 0 })
    case 'choice': {
      const options = pattern.options.map(lengthsOf)
      return { min: Math.min(...options.map(({ min }) => min)), max: Math.max(...options.map(({ max }) => max)) }
    }
    case 'repeat': {
      const { min, max } = lengthsOf(pattern.item)
      return { min: min * pattern.min, max: max === 0 ? 0 : max * (pattern.max ?? Infinity) }
    }
    default:
      return { min: 0, max: 0 }
  }
}

function add(one: Lengths, other: Lengths): Lengths {
  return { min: one.min + other.min, max: one.max + other.max }
}

/** How many characters stand in the pattern once its counts are written out. */
export function sizeOf(pattern: Pattern): number {
  switch (pattern.kind) {
    case 'set':
      return 1
    case 'sequence':
      return pattern.items.reduce((sum, item) => sum + sizeOf(item), 0)
    case 'choice':
      return pattern.options.reduce((sum, option) => sum + sizeOf(option), 0)
    case 'repeat':
      return sizeOf(pattern.item) * Math.max(1, pattern.min, pattern.max ?? 0)
    default:
      return 0
  }
}

/**
 * The pattern that a whole text must match where the given one must match somewhere in it; undefined where anchors
 * stand inside it.
 */
export function wholePattern(pattern: Pattern): Pattern | undefined {
  if (pattern.kind === 'choice') {
    const options = pattern.options.map(wholePattern)
    return options.some((option) => option === undefined) ? undefined : choice(...(options as Pattern[]))
  }
  const items = pattern.kind === 'sequence' ? pattern.items.flatMap(itemsOf) : [pattern]
  const [first] = items
  const last = items.at(-1)
  const inner = items.slice(first?.kind === 'start' ? 1 : 0, last?.kind === 'end' ? -1 : undefined)
  if (inner.some(hasAnchor)) return undefined
  const anything = repeat(set(anyCodePoint), 0)
  const lead = first?.kind === 'start' ? [] : [anything]
  const trail = last?.kind === 'end' ? [] : [anything]
  // What may be empty is found in every text.
  if (lead.length + trail.length === 2 && lengthsOf(sequence(...inner)).min === 0) return anything
  const whole = [...lead, ...inner, ...trail]
  const [only] = whole
  return only !== undefined && whole.length === 1 ? only : sequence(...whole)
}

function itemsOf(pattern: Pattern): readonly Pattern[] {
  return pattern.kind === 'sequence' ? pattern.items.flatMap(itemsOf) : [pattern]
}

function hasAnchor(pattern: Pattern): boolean {
  switch (pattern.kind) {
    case 'start':
    case 'end':
      return true
    case 'sequence':
      return pattern.items.some(hasAnchor)
    case 'choice':
      return pattern.options.some(hasAnchor)
    case 'repeat':
      return hasAnchor(pattern.item)
    default:
      return false
  }
}

/**
 * The pattern with no text longer than `most`; undefined where all are. It may say less than both together: what can
 * grow gets an equal share of the room. Counting exactly would cost a state for each length at each place.
 */
export function shortened(pattern: Pattern, most: number): Pattern | undefined {
  const { min, max } = lengthsOf(pattern)
  if (max <= most) return pattern
  if (min > most) return undefined
  switch (pattern.kind) {
    case 'sequence': {
      const lengths = pattern.items.map(lengthsOf)
      const shares = shareOut(
        lengths.map((each) => each.max - each.min),
        most - min,
      )
      return sequence(
        ...pattern.items.map((item, at) => shortened(item, (lengths[at]?.min ?? 0) + (shares[at] ?? 0)) ?? item),
      )
    }
    case 'choice':
      return choice(...pattern.options.flatMap((option) => shortened(option, most) ?? []))
    case 'repeat':
      return shortenedRepeat(pattern, most)
    default:
      return pattern
  }
}

/** Parts that may be long each: so many of them at most, that each has room. */
const fewParts = 8

function shortenedRepeat({ item, min, max }: Extract<Pattern, { kind: 'repeat' }>, most: number): Pattern {
  const lengths = lengthsOf(item)
  if (lengths.min === lengths.max) return repeat(item, min, Math.min(max ?? Infinity, Math.floor(most / lengths.max)))
  const room = Math.max(1, Math.floor(most / Math.max(1, lengths.min)))
  const times = Math.max(1, min, Math.min(max ?? Infinity, room, fewParts))
  return repeat(shortened(item, Math.floor(most / times)) ?? item, min, times)
}

/** Shares the room: nobody gets more than is wanted, all others the same. Whole numbers. */
function shareOut(wanted: readonly number[], room: number): readonly number[] {
  const shares = wanted.map(() => 0)
  const order = wanted.map((_, at) => at).sort((a, b) => (wanted[a] ?? 0) - (wanted[b] ?? 0))
  let left = room
  for (const [done, at] of order.entries()) {
    const share = Math.min(wanted[at] ?? 0, Math.floor(left / (order.length - done)))
    shares[at] = share
    left -= share
  }
  return shares
}
