import { codePointRange, codePoint, type CodePoints } from './code-points.ts'

/** A regular expression as a tree, over code points. */
export type Pattern =
  | { readonly kind: 'set'; readonly set: CodePoints }
  | { readonly kind: 'sequence'; readonly items: readonly Pattern[] }
  | { readonly kind: 'choice'; readonly options: readonly Pattern[] }
  /** `max` undefined: without end. */
  | { readonly kind: 'repeat'; readonly item: Pattern; readonly min: number; readonly max: number | undefined }
  /** `^` and `$`: only at the beginning, or the end, of the whole text. */
  | { readonly kind: 'start' }
  | { readonly kind: 'end' }

export const set = (points: CodePoints): Pattern => ({ kind: 'set', set: points })
export const range = (first: string, last: string): Pattern =>
  set(codePointRange(first.codePointAt(0) ?? 0, last.codePointAt(0) ?? 0))
export const sequence = (...items: readonly Pattern[]): Pattern => ({ kind: 'sequence', items })
export const choice = (...options: readonly Pattern[]): Pattern => ({ kind: 'choice', options })
export const repeat = (item: Pattern, min: number, max?: number): Pattern => ({ kind: 'repeat', item, min, max })
export const optional = (item: Pattern): Pattern => repeat(item, 0, 1)
export const nothing: Pattern = sequence()
export const never: Pattern = choice()
export const text = (letters: string): Pattern =>
  sequence(...Array.from(letters, (letter) => set(codePoint(letter.codePointAt(0) ?? 0))))
