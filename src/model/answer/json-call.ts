import { decodeJsonString, readJsonKey, readJsonString, readJsonValue } from './json-value.ts'
import type { PieceWriter } from './piece-writer.ts'
import { peek, type Reading, type TextCursor } from './text-cursor.ts'

/**
 * Takes a call written as a JSON object, `{"name": "f", "arguments": {…}}`, and streams its arguments as they come.
 * Models differ: the arguments may be called `parameters`, come before the name, or be JSON inside a string; the
 * name may be called `function`, or the whole may lie inside `function`.
 *
 * Stands at `{`. False, with nothing written, where the object turns out to be no call, or one that `accepts` refuses.
 */
export function* readJsonCall(
  cursor: TextCursor,
  out: PieceWriter,
  accepts: (name: string) => boolean,
): Reading<boolean> {
  cursor.take(1)
  let name: string | undefined
  let early: string | undefined
  let started = false
  for (;;) {
    const member = yield* readJsonKey(cursor)
    if (member === 'end') break
    // Text that stops being JSON inside a started call ends that call; the rest is not worth more.
    if (member === undefined) return finish(started, out)
    const { key } = member
    const next = yield* peek(cursor)
    if ((key === 'name' || key === 'function' || key === 'tool_name') && next === '"') {
      name = decodeJsonString(yield* readJsonString(cursor))
      if (name === undefined || !accepts(name)) return finish(started, out)
    } else if (key === 'function' && next === '{' && !started) {
      started = yield* readJsonCall(cursor, out, accepts)
      if (!started) return false
    } else if (isArguments(key) && !started && name !== undefined) {
      out.startCall(name)
      started = true
      if (!(yield* readArguments(cursor, (text) => out.callArguments(text)))) return finish(started, out)
    } else if (isArguments(key) && !started) {
      early = ''
      if (!(yield* readArguments(cursor, (text) => (early += text)))) return false
    } else if (!(yield* readJsonValue(cursor, ignore))) {
      return finish(started, out)
    }
    if (!started && name !== undefined && early !== undefined) {
      out.startCall(name)
      started = true
      out.callArguments(early)
    }
  }
  if (!started && name === undefined) return false
  if (!started && name !== undefined) out.startCall(name)
  out.endCall()
  return true
}

/** The arguments as JSON text: an object as it comes, JSON inside a string unwrapped, null as no arguments. */
export function* readArguments(cursor: TextCursor, emit: (text: string) => void): Reading<boolean> {
  const first = yield* peek(cursor)
  if (first === '{' || first === '[') return yield* readJsonValue(cursor, emit)
  let text = ''
  const complete = yield* readJsonValue(cursor, (piece) => {
    text += piece
  })
  const plain = first === '"' ? (decodeJsonString(text) ?? '').trim() : text
  if (plain !== '' && plain !== 'null') emit(plain)
  return complete
}

function isArguments(key: string): boolean {
  return key === 'arguments' || key === 'parameters' || key === 'args'
}

/** A call cut off by the token limit keeps what came of it, as OpenAI does; one that came to nothing has `{}`. */
function finish(started: boolean, out: PieceWriter): boolean {
  if (started) out.endCall()
  return started
}

function ignore(): void {
  // The value is of no interest.
}
