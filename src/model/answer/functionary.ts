import { giveBack, type ToolMap } from './call-readers.ts'
import { readArguments } from './json-call.ts'
import type { PieceWriter } from './piece-writer.ts'
import { peek, readUntil, skipSpace, type Reading, type TextCursor } from './text-cursor.ts'

/**
 * Functionary 3.2: parts with a recipient each, `all` for the user. The prompt ends with the first `>>>`.
 *
 *   all \n text >>>weather \n {"city": "Oslo"} >>>clock \n {}
 */
export function* readFunctionary(cursor: TextCursor, out: PieceWriter, tools: ToolMap): Reading<void> {
  for (let mark = ''; ; mark = '>>>') {
    cursor.mark()
    let recipient = ''
    const line = yield* readUntil(cursor, ['\n'], (text) => (recipient += text))
    recipient = recipient.trim()
    if (line === undefined || (recipient !== 'all' && !tools.has(recipient))) {
      giveBack(cursor, out, mark)
    } else {
      cursor.since()
      if (recipient !== 'all') {
        yield* skipSpace(cursor)
        out.startCall(recipient)
        if ((yield* peek(cursor)) === '{') yield* readArguments(cursor, (text) => out.callArguments(text))
        out.endCall()
      }
    }
    if ((yield* readUntil(cursor, ['>>>'], (text) => out.text(text))) === undefined) return
  }
}
