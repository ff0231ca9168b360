import type { ChatInput } from '../../inference/index.ts'
import { createCallId } from './call-id.ts'
import { PieceWriter, type ChatPiece } from './piece-writer.ts'
import { TextCursor } from './text-cursor.ts'
import type { AnswerShape } from './answer-shape.ts'
import { readText, readThinking } from './thinking.ts'

/** Takes an answer apart while it is generated. One per continuation; holds back only what may be a mark. */
export interface ChatOutputParser {
  push(text: string): readonly ChatPiece[]
  /**
   * Gives what was held back. Nothing may be pushed afterwards. `cut`: the text ended before the model ended it, so that
   * an unfinished mark or call at its end is none of the answer.
   */
  end(cut?: boolean): readonly ChatPiece[]
}

/** The parser for the answer to a rendered chat. */
export function createOutputParser(chat: ChatInput, rendered: { readonly answer: AnswerShape }): ChatOutputParser {
  const { convention, readsCalls, thinking, opening } = rendered.answer
  if (!readsCalls && thinking === undefined) {
    let at = 0
    return {
      push(text) {
        const piece = { type: 'text', text, at } as const
        at += text.length
        return text === '' ? [] : [piece]
      },
      end: () => [],
    }
  }
  const reader = readsCalls ? convention.reader : readText
  const whole = thinking === undefined ? reader : readThinking(thinking.marks, thinking.opened, reader)
  const cursor = new TextCursor()
  const { parallelToolCalls } = chat
  const position = () => cursor.position - opening.length
  const writer = new PieceWriter(parallelToolCalls, () => createCallId(convention), position)
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
    end(cut = false) {
      cursor.end(cut)
      // Each reader goes on from where it waits; at the end none waits again.
      while (!reading.next().done);
      writer.end(cursor.dropsMarkup)
      return writer.drain()
    },
  }
}
