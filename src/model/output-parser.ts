import type { ChatInput } from '../inference/index.ts'
import type { RenderedChat } from './chat-format.ts'

/** A part of an answer. Concatenated, the parts are equal however the text was cut before it came. */
export type ChatPiece =
  | { readonly type: 'text'; readonly text: string }
  | { readonly type: 'reasoning'; readonly text: string }
  | {
      readonly type: 'toolCall'
      /** Position of the call in this answer, from 0. */
      readonly call: number
      /** On the first piece of each call. */
      readonly id?: string
      readonly name?: string
      /** More of the arguments' JSON text. */
      readonly arguments: string
    }

/** Takes an answer apart while it is generated. One per continuation; holds back only what may be a mark. */
export interface ChatOutputParser {
  push(text: string): readonly ChatPiece[]
  /** Gives what was held back. Nothing may be pushed afterwards. */
  end(): readonly ChatPiece[]
}

/** The parser for the answer to a rendered chat. */
export function createOutputParser(_chat: ChatInput, _rendered: RenderedChat): ChatOutputParser {
  return { push: (text) => (text === '' ? [] : [{ type: 'text', text }]), end: () => [] }
}
