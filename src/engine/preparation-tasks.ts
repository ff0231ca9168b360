/**
 * What crosses the border between the server's thread and the threads that prepare requests. Data alone: a convention
 * travels as what it is made of.
 */
import type { ChatInput, OutputConstraint } from '../inference/index.ts'
import {
  conventionFrom,
  type AnswerShape,
  type ChatFormatSource,
  type ConventionFacts,
  type RenderedChat,
} from '../model/index.ts'
import type { CompiledConstraint } from './grammar/index.ts'

export type { CompiledConstraint }

/** What a preparing thread knows from its start. */
export interface PreparationData {
  readonly chat: ChatFormatSource
  readonly maxGrammarBytes: number
}

export type PreparationTask =
  /** Makes the first chat's rendering as fast as the second's. */
  | { readonly kind: 'warm' }
  | {
      readonly kind: 'render'
      readonly chat: ChatInput
      /** Longest prompt that is of use; undefined while that is unknown. */
      readonly limit: PromptLimit | undefined
    }
  | {
      readonly kind: 'compile'
      readonly constraint: OutputConstraint | undefined
      /** Without its messages. */
      readonly chat: ChatInput | undefined
      readonly answer: AnswerFacts | undefined
    }

export type PreparationResult = RenderedFacts | CompiledConstraint | undefined

/** A rendered chat as data. */
export interface RenderedFacts extends Omit<RenderedChat, 'answer'> {
  readonly answer: AnswerFacts
}

export interface AnswerFacts extends Omit<AnswerShape, 'convention'> {
  readonly convention: ConventionFacts
}

/** The shape that the facts stand for. */
export function toAnswerShape(facts: AnswerFacts): AnswerShape {
  return { ...facts, convention: conventionFrom(facts.convention) }
}

/** What a prompt can be made of at most: no tokenizer fits more bytes than this into a sequence. */
export interface PromptLimit {
  readonly contextTokens: number
  /** Bytes of the vocabulary's longest token. */
  readonly longestTokenBytes: number
}
