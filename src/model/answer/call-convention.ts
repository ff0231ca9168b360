import type { AnswerReader } from './call-readers.ts'
import type { TaggedStyle } from './tagged-call.ts'
import type { ThinkingMarks } from './thinking.ts'

/** How a family of models writes calls: to read its answers, to constrain them, and to tell it of tools. */
export interface CallConvention {
  readonly name: string
  readonly reader: AnswerReader
  /** The family's syntax is around every answer, so that answers without tools must be read by it, too. */
  readonly always: boolean
  /** Marks around thinking; absent: those that the template shows. `read`: the reader tells thinking apart itself. */
  readonly thinking?: ThinkingMarks | 'read'
  /** The family's templates show the tools to the model; where one does not, or none is known, we do. */
  readonly templateShowsTools: boolean
  /** Special tokens that the reader needs to see. */
  readonly specialTexts: readonly string[]
  /**
   * What the family's templates insist on in the identifiers of calls: Mistral on nine letters or digits, Kimi on
   * name and number.
   */
  readonly callIds?: 'nineLetters' | 'numbered'
  readonly syntax: CallSyntax
  /** Of no known family: what its template showed, of which it was made. */
  readonly shown?: CallParts
}

/** How a template writes the calls of a turn, cut into its parts: inferred-convention.ts. */
export interface CallParts {
  readonly lead: string
  readonly middle: string
  readonly tail: string
  /** From the arguments of one call to the name of the next; undefined where the template writes one call alone. */
  readonly join: string | undefined
}

/**
 * The canonical text of calls, for grammars and for telling a model how to call:
 *
 *   open  before(f) arguments after   between   before(g) arguments after   close
 */
export interface CallSyntax {
  readonly open: string
  before(name: string): string
  readonly after: string
  /** Between two calls; undefined where the family makes one call an answer. */
  readonly between: string | undefined
  readonly close: string
  readonly arguments: ArgumentSyntax
  /**
   * Text whose appearance in an answer says that calls begin, and that everything from it on is bound to them.
   * Part of `open` or `before`; undefined where nothing but the tool's name says so.
   */
  readonly trigger: string | undefined
  /** The trigger counts only as the first text of the answer. */
  readonly triggersOnlyAtStart: boolean
  /** What stands in front of an answer that is no call, and behind it. */
  readonly textOpen: string
  readonly textClose: string
}

/** How arguments are written. */
export type ArgumentSyntax =
  /** One JSON object. */
  | { readonly kind: 'json' }
  /** A tag each. */
  | { readonly kind: 'tags'; readonly tags: TaggedStyle }
  /** `city="Oslo", days=3`, as Python writes keyword arguments. */
  | { readonly kind: 'keywords' }
  /** Gemma's notation: an object without quotes around its keys, and `<|"|>` around texts. */
  | { readonly kind: 'gemma' }
  /** An element each, named as the argument, with elements inside for what is nested. */
  | { readonly kind: 'elements' }
