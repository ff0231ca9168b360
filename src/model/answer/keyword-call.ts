import { isName } from './call-name.ts'
import { giveBack, readCallList, type ToolMap } from './call-readers.ts'
import { LooseValues } from './loose-value.ts'
import type { PieceWriter } from './piece-writer.ts'
import { peek, readUntil, skipSpace, type Reading, type TextCursor } from './text-cursor.ts'

/**
 * LFM2: calls as Python writes them, or a list in JSON. They become JSON once all are complete.
 *
 *   <|tool_call_start|>[weather(city="Oslo", days=3), clock()]<|tool_call_end|>
 */
export function* readKeywords(cursor: TextCursor, out: PieceWriter, _tools: ToolMap): Reading<void> {
  for (;;) {
    if ((yield* readUntil(cursor, ['<|tool_call_start|>'], (text) => out.text(text))) === undefined) return
    cursor.mark()
    yield* skipSpace(cursor)
    if ((yield* peek(cursor)) === '{') {
      const { calls, complete } = yield* readCallList(cursor, out, isName)
      if (complete) cursor.since()
      else giveBack(cursor, out, calls === 0 ? '<|tool_call_start|>' : '')
      yield* readUntil(cursor, ['<|tool_call_end|>'], () => undefined)
      continue
    }
    let body = ''
    yield* readUntil(cursor, ['<|tool_call_end|>'], (text) => (body += text))
    const calls = parseCalls(body)
    if (calls.length === 0) giveBack(cursor, out, '<|tool_call_start|>')
    else cursor.since()
    for (const call of calls) {
      out.startCall(call.name)
      out.callArguments(call.arguments)
      out.endCall()
    }
  }
}

/** The calls that are whole. */
function parseCalls(body: string): readonly { readonly name: string; readonly arguments: string }[] {
  const values = new LooseValues(body)
  values.take(/\[/)
  const calls: { name: string; arguments: string }[] = []
  for (;;) {
    const name = values.take(/[\w.-]+\(/)?.slice(0, -1)
    const members = name === undefined ? undefined : values.members(/\)/, /=/)
    if (name === undefined || members === undefined) return calls
    calls.push({ name, arguments: members })
    values.take(/,/)
  }
}
