import type { ChatInput } from '../../inference/index.ts'
import { createCallId } from './call-id.ts'
import { PieceWriter, type ChatPiece } from './piece-writer.ts'
import { TextCursor } from './text-cursor.ts'
import type { AnswerShape } from './answer-shape.ts'
import { readText, readThinking } from './thinking.ts'

/** Takes an answer apart while it is generated. One per continuation; holds back only what may be a mark. */
export interface ChatOutputParser {
  push(text: string): readonly ChatPiece[]
  /** Gives what was held back. Nothing may be pushed afterwards. */
  end(): readonly ChatPiece[]
}

/** The parser for the answer to a rendered chat. */
export function createOutputParser(chat: ChatInput, rendered: { readonly answer: AnswerShape }): ChatOutputParser {
  const { convention, readsCalls, thinking, opening } = rendered.answer
  if (!readsCalls && thinking === undefined) {
    return { push: (text) => (text === '' ? [] : [{ type: 'text', text }]), end: () => [] }
  }
  const reader = readsCalls ? convention.reader : readText
  const whole = thinking === undefined ? reader : readThinking(thinking.marks, thinking.opened, reader)
  const cursor = new TextCursor()
  const writer = new PieceWriter(chat.parallelToolCalls, () => createCallId(convention))
  const reading = whole(cursor, writer, new Map(chat.tools.map((tool) => [tool.name, tool])))
  reading.next()
  if (opening !== '') {
    cursor.feed(opening)
    reading.next()
    writer.forget()
  }
  return {
    push(text) {
      cursor.feed(text)
      reading.next()
      return writer.drain()
    },
    end() {
      cursor.end()
      // Each reader goes on from where it waits; at the end none waits again.
      while (!reading.next().done);
      writer.end()
      return writer.drain()
    },
  }
}
