import type { ToolDefinition } from '../../inference/index.ts'
import { isName } from './call-name.ts'
import { readArguments, readJsonCall } from './json-call.ts'
import type { PieceWriter } from './piece-writer.ts'
import { glmTags, qwenTags, readTaggedCall, type TaggedStyle } from './tagged-call.ts'
import { peek, readUntil, skipSpace, tryTake, type Reading, type TextCursor } from './text-cursor.ts'

/** Reads an answer of text and calls to its end. One for each way in which models write calls. */
export type AnswerReader = (cursor: TextCursor, out: PieceWriter, tools: ToolMap) => Reading<void>
/** The tools that may be called, by name. */
export type ToolMap = ReadonlyMap<string, ToolDefinition>

/** How a family marks its calls. */
export interface CallMarks {
  readonly open: string
  /** Undefined where nothing closes calls. */
  readonly close: string | undefined
  /** Arguments as tags; undefined: calls are JSON objects. */
  readonly tags: TaggedStyle | undefined
  /** Marks around plain text that are none of it. */
  readonly dropped?: readonly string[]
}

/**
 * Families that put marks around a call or several:
 *
 *   Hermes, Qwen, and what models without a convention are told:   text <tool_call> {"name": "f", "arguments": {…}} </tool_call> text …
 *   Granite, Nemotron, Command:   <TOOLCALL> [{"name": "f", "arguments": {…}}, …] </TOOLCALL>
 *   Qwen3-Coder, GLM, MiniMax, DeepSeek V3.2:   marks around tags, see TaggedStyle
 *
 * A call of a known tool whose opening mark the model has left out is a call all the same.
 */
export function createMarkedReader(marks: CallMarks): AnswerReader {
  const { open, close, tags, dropped = [] } = marks
  const bare = tags === undefined || tags.nameOpen === '' ? [] : [tags.nameOpen]
  return function* readMarked(cursor, out, tools) {
    for (;;) {
      const found = yield* readUntil(cursor, [open, ...bare, ...dropped], (text) => out.text(text))
      if (found === undefined) return
      if (dropped.includes(found)) continue
      // Marked before the search, so that a call that is none can be given back with its tag.
      cursor.mark()
      const { calls, end } =
        found === open
          ? yield* readMarkedCalls(cursor, out, marks, tools)
          : yield* readBareCall(cursor, out, marks, tools)
      if (end === 'none') giveBack(cursor, out, calls === 0 ? found : '')
      else cursor.since()
      if (end === 'open' && close !== undefined) yield* readUntil(cursor, [close], ignore)
    }
  }
}

interface MarkedCalls {
  readonly calls: number
  /** `none`: what was taken since the last call belongs to no call. `open`: the closing mark follows. */
  readonly end: 'none' | 'open' | 'closed'
}

function* readMarkedCalls(
  cursor: TextCursor,
  out: PieceWriter,
  { tags }: CallMarks,
  tools: ToolMap,
): Reading<MarkedCalls> {
  yield* skipSpace(cursor)
  const next = yield* peek(cursor)
  if (next === '{' || next === '[') {
    const { calls, complete } = yield* readCallList(cursor, out, acceptAny)
    return { calls, end: complete ? 'open' : 'none' }
  }
  // Models that were taught JSON stray into tags, too.
  const style = tags ?? (next === '<' ? qwenTags : glmTags)
  const named = style.nameOpen !== ''
  for (let calls = 0; ; calls += 1) {
    if (named) yield* skipSpace(cursor)
    if (named && !(yield* tryTake(cursor, style.nameOpen))) return { calls, end: calls > 0 ? 'open' : 'none' }
    const read = yield* readTaggedCall(cursor, out, style, tools, false)
    if (read === 'none') return { calls, end: 'none' }
    if (!named) return { calls: 1, end: read === 'closed' ? 'closed' : 'open' }
    cursor.mark()
  }
}

/** A call of a known tool behind its name's mark, the opening mark left out. */
function* readBareCall(
  cursor: TextCursor,
  out: PieceWriter,
  { tags = qwenTags, close }: CallMarks,
  tools: ToolMap,
): Reading<MarkedCalls> {
  if ((yield* readTaggedCall(cursor, out, tags, tools, true)) === 'none') return { calls: 0, end: 'none' }
  yield* skipSpace(cursor)
  if (close !== undefined) yield* tryTake(cursor, close)
  return { calls: 1, end: 'closed' }
}

/** Gives back as text what looked like a call and was none; nothing of one that a cut left unfinished. */
export function giveBack(cursor: TextCursor, out: PieceWriter, mark: string): void {
  const seen = cursor.since()
  if (cursor.cut && cursor.rest === '') cursor.drop()
  else out.verbatim(mark + seen)
}

/**
 * Mistral, in its three versions:
 *
 *   [TOOL_CALLS][{"name": "f", "arguments": {…}, "id": "…"}, …]
 *   [TOOL_CALLS]f[ARGS]{…}[TOOL_CALLS]g[ARGS]{…}
 *   [TOOL_CALLS]f[CALL_ID]123456789[ARGS]{…}
 */
export function* readMistral(cursor: TextCursor, out: PieceWriter): Reading<void> {
  for (;;) {
    if ((yield* readUntil(cursor, ['[TOOL_CALLS]'], (text) => out.text(text))) === undefined) return
    cursor.mark()
    yield* skipSpace(cursor)
    const next = yield* peek(cursor)
    const listed = next === '[' || next === '{'
    const { calls, complete } = listed ? yield* readCallList(cursor, out, acceptAny) : yield* readNamedCall(cursor, out)
    if (complete) cursor.since()
    else giveBack(cursor, out, calls === 0 ? '[TOOL_CALLS]' : '')
  }
}

interface CallsRead {
  readonly calls: number
  /** Whether all that was taken since the last call belongs to calls; else the caller gives it back as text. */
  readonly complete: boolean
}

/** One call object, or several in brackets or behind each other. Restarts the cursor's mark behind each call. */
export function* readCallList(
  cursor: TextCursor,
  out: PieceWriter,
  accepts: (name: string) => boolean,
): Reading<CallsRead> {
  let calls = 0
  const bracketed = yield* tryTake(cursor, '[')
  for (;;) {
    yield* skipSpace(cursor)
    const next = yield* peek(cursor)
    if (calls > 0 && (next === ',' || next === ';')) cursor.take(1)
    else if (next === '{') {
      if (!(yield* readJsonCall(cursor, out, accepts))) return { calls, complete: false }
      calls += 1
      cursor.mark()
    } else {
      if (bracketed && next === ']' && calls > 0) cursor.take(1)
      return { calls, complete: calls > 0 }
    }
  }
}

function* readNamedCall(cursor: TextCursor, out: PieceWriter): Reading<CallsRead> {
  let name = ''
  const mark = yield* readUntil(cursor, ['[ARGS]', '[CALL_ID]'], (text) => (name += text))
  name = name.trim()
  if (mark === undefined || !isName(name)) return { calls: 0, complete: false }
  if (mark === '[CALL_ID]') yield* readUntil(cursor, ['[ARGS]'], ignore)
  yield* skipSpace(cursor)
  if ((yield* peek(cursor)) !== '{') return { calls: 0, complete: false }
  out.startCall(name)
  yield* readArguments(cursor, (text) => out.callArguments(text))
  out.endCall()
  return { calls: 1, complete: true }
}

/**
 * Llama 3: the answer is either text or, from its first character, calls. An object that is no call of a known tool
 * is an answer in JSON, and stays text.
 *
 *   {"name": "f", "parameters": {…}}; {"name": …}      or the same behind <|python_tag|>
 */
export function* readLlama(cursor: TextCursor, out: PieceWriter, tools: ToolMap): Reading<void> {
  let tag = ''
  for (;;) {
    cursor.mark()
    yield* skipSpace(cursor)
    if (tag === '' && (yield* tryTake(cursor, pythonTag))) yield* skipSpace(cursor)
    const next = yield* peek(cursor)
    if (next === '{' || next === '[') {
      const { calls, complete } = yield* readCallList(cursor, out, (name) => tools.has(name))
      const seen = cursor.since()
      if (!complete && !(isUnfinishedCall(seen, tools) && cursor.cut)) out.verbatim(calls === 0 ? tag + seen : seen)
    } else {
      const seen = cursor.since()
      if (tag === '' || !cursor.cut || cursor.rest !== '') out.text(tag + seen)
    }
    if ((yield* readUntil(cursor, [pythonTag], (text) => out.text(text))) === undefined) return
    tag = pythonTag
  }
}

/** Whether the text is the beginning of a call of a known tool, and not of an answer in JSON. */
function isUnfinishedCall(seen: string, tools: ToolMap): boolean {
  const begun = seen.trim()
  return [...tools.keys()].some((name) => `{"name": ${JSON.stringify(name)}, "parameters": `.startsWith(begun))
}

const pythonTag = '<|python_tag|>'

function acceptAny(name: string): boolean {
  return isName(name)
}

export function ignore(): void {
  // Syntax between the parts.
}
