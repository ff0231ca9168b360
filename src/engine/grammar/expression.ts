import type { CodePoints } from './code-points.ts'

/** A context-free expression: what a rule of a grammar stands for. */
export type Expression =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'set'; readonly set: CodePoints }
  | { readonly kind: 'sequence'; readonly items: readonly Expression[] }
  | { readonly kind: 'choice'; readonly options: readonly Expression[] }
  /** `max` undefined: without end. */
  | { readonly kind: 'repeat'; readonly item: Expression; readonly min: number; readonly max: number | undefined }
  | { readonly kind: 'rule'; readonly name: string }

export const text = (letters: string): Expression => ({ kind: 'text', text: letters })
export const set = (points: CodePoints): Expression => ({ kind: 'set', set: points })
export const sequence = (...items: readonly Expression[]): Expression => ({ kind: 'sequence', items })
export const optional = (item: Expression): Expression => ({ kind: 'repeat', item, min: 0, max: 1 })
export const repeat = (item: Expression, min: number, max: number | undefined): Expression => ({
  kind: 'repeat',
  item,
  min,
  max,
})
export const nothing: Expression = sequence()
/** What nothing matches: the value of an impossible schema. */
export const never: Expression = { kind: 'choice', options: [] }

/** The choice without impossible options. */
export function choice(...options: readonly Expression[]): Expression {
  const possible = options.filter((option) => option !== never)
  return possible.length === 1
    ? (possible[0] ?? never)
    : possible.length === 0
      ? never
      : { kind: 'choice', options: possible }
}
