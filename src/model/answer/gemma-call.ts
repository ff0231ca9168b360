import { isName } from './call-name.ts'
import { giveBack, type ToolMap } from './call-readers.ts'
import { LooseValues } from './loose-value.ts'
import type { PieceWriter } from './piece-writer.ts'
import { readUntil, type Reading, type TextCursor } from './text-cursor.ts'

/**
 * Gemma 4 and FunctionGemma. Arguments have a notation of their own, which becomes JSON once the call is complete.
 *
 *   <|tool_call>call:weather{city:<|"|>Oslo<|"|>,days:3}<tool_call|>
 */
export function* readGemma(cursor: TextCursor, out: PieceWriter, _tools: ToolMap): Reading<void> {
  for (;;) {
    const found = yield* readUntil(cursor, ['<|tool_call>', '<|channel>thought\n'], (text) => out.text(text))
    if (found === undefined) return
    if (found === '<|tool_call>') yield* readCall(cursor, out)
    // It may think again between its calls.
    else yield* readUntil(cursor, ['<channel|>'], (text) => out.reasoning(text))
  }
}

function* readCall(cursor: TextCursor, out: PieceWriter): Reading<void> {
  cursor.mark()
  let name = ''
  const opened = yield* readUntil(cursor, ['{'], (text) => (name += text))
  name = name.trim().replace(/^call:/, '')
  if (opened === undefined || !isName(name)) return giveBack(cursor, out, '<|tool_call>')
  let body = ''
  const closed = yield* readUntil(cursor, ['<tool_call|>'], (text) => (body += text))
  const json = new LooseValues(body).members(/\}/, /:/)
  if (json === undefined && !cursor.cut) return giveBack(cursor, out, '<|tool_call>')
  cursor.since()
  out.startCall(name)
  if (closed !== undefined || json !== undefined) out.callArguments(json ?? '')
  out.endCall()
}
