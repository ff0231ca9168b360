/**
 * A set of Unicode code points: ascending, non-touching ranges as pairs of first and last.
 *
 *   [97, 122, 233, 233]  is  a…z and é
 */
export type CodePoints = readonly number[]

/** Every code point that text can hold: surrogates are no characters. */
export const anyCodePoint: CodePoints = [0, 0xd7ff, 0xe000, 0x10ffff]

export function codePoint(value: number): CodePoints {
  return [value, value]
}

export function codePointRange(first: number, last: number): CodePoints {
  return intersect([first, last], anyCodePoint)
}

export function codePointsOf(text: string): CodePoints {
  return unite(Array.from(text, (letter) => codePoint(letter.codePointAt(0) ?? 0)))
}

export function unite(sets: readonly CodePoints[]): CodePoints {
  const ranges: [number, number][] = []
  for (const set of sets) {
    for (let at = 0; at < set.length; at += 2) ranges.push([set[at] ?? 0, set[at + 1] ?? 0])
  }
  ranges.sort((left, right) => left[0] - right[0])
  const merged: number[] = []
  for (const [first, last] of ranges) {
    const end = merged.at(-1)
    if (end === undefined || first > end + 1) merged.push(first, last)
    else if (last > end) merged[merged.length - 1] = last
  }
  return merged
}

export function complement(set: CodePoints): CodePoints {
  const gaps: number[] = []
  let next = 0
  for (let at = 0; at < set.length; at += 2) {
    const first = set[at] ?? 0
    if (first > next) gaps.push(next, first - 1)
    next = (set[at + 1] ?? 0) + 1
  }
  if (next <= 0x10ffff) gaps.push(next, 0x10ffff)
  return intersect(gaps, anyCodePoint)
}

export function intersect(left: CodePoints, right: CodePoints): CodePoints {
  const common: number[] = []
  let inLeft = 0
  let inRight = 0
  while (inLeft < left.length && inRight < right.length) {
    const first = Math.max(left[inLeft] ?? 0, right[inRight] ?? 0)
    const leftLast = left[inLeft + 1] ?? 0
    const rightLast = right[inRight + 1] ?? 0
    if (first <= Math.min(leftLast, rightLast)) common.push(first, Math.min(leftLast, rightLast))
    if (leftLast < rightLast) inLeft += 2
    else inRight += 2
  }
  return common
}

export function contains(set: CodePoints, value: number): boolean {
  for (let at = 0; at < set.length; at += 2) {
    if (value < (set[at] ?? 0)) return false
    if (value <= (set[at + 1] ?? 0)) return true
  }
  return false
}

export const digits: CodePoints = codePointRange(0x30, 0x39)
export const wordLetters: CodePoints = unite([
  digits,
  codePointRange(0x41, 0x5a),
  [0x5f, 0x5f],
  codePointRange(0x61, 0x7a),
])
/** White space and line ends of ECMAScript, as `\s` takes them. */
export const spaces: CodePoints = unite([
  codePointsOf('\t\v\f \u{a0}\u{feff}\n\r\u{2028}\u{2029}\u{1680}\u{202f}\u{205f}\u{3000}'),
  codePointRange(0x2000, 0x200a),
])
/** What ends a line: `.` takes all but these. */
export const lineEnds: CodePoints = codePointsOf('\n\r\u{2028}\u{2029}')
