import type { CallConvention } from './call-convention.ts'
import type { ThinkingMarks } from './thinking.ts'

/** What the answer to a rendered chat may be made of: for its parser, and for the grammar that binds it. */
export interface AnswerShape {
  readonly convention: CallConvention
  /** Whether calls, or the marks of a convention that is around every answer, are read. */
  readonly readsCalls: boolean
  /** Undefined for a model that does not mark its thinking. `opened`: the prompt ends inside it. */
  readonly thinking: { readonly marks: ThinkingMarks; readonly opened: boolean } | undefined
  /** The part of the answer that already stands in the prompt and that the parser must have seen. */
  readonly opening: string
}
