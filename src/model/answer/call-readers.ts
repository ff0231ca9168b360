import type { ToolDefinition } from '../../inference/index.ts'
import { readArguments, readJsonCall } from './json-call.ts'
import type { PieceWriter } from './piece-writer.ts'
import { glmTags, qwenTags, readTaggedArguments } from './tagged-call.ts'
import { peek, readUntil, skipSpace, tryTake, type Reading, type TextCursor } from './text-cursor.ts'

/** Reads an answer of text and calls to its end. One for each way in which models write calls. */
export type AnswerReader = (cursor: TextCursor, out: PieceWriter, tools: ToolMap) => Reading<void>
/** The tools that may be called, by name. */
export type ToolMap = ReadonlyMap<string, ToolDefinition>

/**
 * Hermes, Qwen, GLM, and models without a convention of their own, which are told this one:
 *
 *   text <tool_call> {"name": "f", "arguments": {…}} </tool_call> text <tool_call> …
 */
export function* readTagged(cursor: TextCursor, out: PieceWriter, tools: ToolMap): Reading<void> {
  for (;;) {
    // Marked before the search, so that a call that is none can be given back with its tag.
    if ((yield* readUntil(cursor, ['<tool_call>'], (text) => out.text(text))) === undefined) return
    cursor.mark()
    yield* skipSpace(cursor)
    const called = yield* readCallBody(cursor, out, tools)
    if (called) {
      yield* readUntil(cursor, ['</tool_call>'], ignore)
      cursor.since()
    } else {
      out.verbatim(`<tool_call>${cursor.since()}`)
    }
  }
}

function* readCallBody(cursor: TextCursor, out: PieceWriter, tools: ToolMap): Reading<boolean> {
  const next = yield* peek(cursor)
  if (next === '{') return yield* readJsonCall(cursor, out, acceptAny)
  const tagged = yield* tryTake(cursor, qwenTags.nameOpen)
  const marks = tagged ? [qwenTags.nameClose] : [glmTags.keyOpen, '</tool_call>', '\n']
  let name = ''
  const found = yield* readUntil(cursor, marks, (text) => (name += text))
  name = name.trim()
  if (found === undefined || !isName(name)) return false
  out.startCall(name)
  if (found === '</tool_call>') {
    out.endCall()
    return true
  }
  // The key's tag was taken with the name; the reader of arguments wants to see it.
  yield* readTaggedArguments(cursor, out, tagged ? qwenTags : glmTags, tools.get(name), found === glmTags.keyOpen)
  out.endCall()
  return true
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
    const seen = cursor.since()
    if (!complete) out.verbatim(calls === 0 ? `[TOOL_CALLS]${seen}` : seen)
  }
}

interface CallsRead {
  readonly calls: number
  /** Whether all that was taken since the last call belongs to calls; else the caller gives it back as text. */
  readonly complete: boolean
}

/** One call object, or several in brackets or behind each other. Restarts the cursor's mark behind each call. */
function* readCallList(cursor: TextCursor, out: PieceWriter, accepts: (name: string) => boolean): Reading<CallsRead> {
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
      if (!complete) out.verbatim(calls === 0 ? tag + seen : seen)
    } else {
      out.text(tag + cursor.since())
    }
    if ((yield* readUntil(cursor, [pythonTag], (text) => out.text(text))) === undefined) return
    tag = pythonTag
  }
}

const pythonTag = '<|python_tag|>'

/**
 * DeepSeek and Kimi: calls in a section of special tokens, each in two halves.
 *
 *   DeepSeek R1, V3: <｜tool▁call▁begin｜>function<｜tool▁sep｜>f \n ```json \n {…} \n ``` <｜tool▁call▁end｜>
 *   DeepSeek V3.1:   <｜tool▁call▁begin｜>f<｜tool▁sep｜>{…}<｜tool▁call▁end｜>
 *   Kimi K2:         <|tool_call_begin|>functions.f:0<|tool_call_argument_begin|>{…}<|tool_call_end|>
 */
export interface SectionMarks {
  readonly sectionBegin: string
  readonly sectionEnd: string
  readonly callBegin: string
  readonly separator: string
  readonly callEnd: string
}

export const deepseekMarks: SectionMarks = {
  sectionBegin: '<｜tool▁calls▁begin｜>',
  sectionEnd: '<｜tool▁calls▁end｜>',
  callBegin: '<｜tool▁call▁begin｜>',
  separator: '<｜tool▁sep｜>',
  callEnd: '<｜tool▁call▁end｜>',
}

export const kimiMarks: SectionMarks = {
  sectionBegin: '<|tool_calls_section_begin|>',
  sectionEnd: '<|tool_calls_section_end|>',
  callBegin: '<|tool_call_begin|>',
  separator: '<|tool_call_argument_begin|>',
  callEnd: '<|tool_call_end|>',
}

export function createSectionReader(marks: SectionMarks): AnswerReader {
  return function* readSections(cursor, out) {
    for (;;) {
      const stops = [marks.sectionBegin, marks.callBegin, marks.sectionEnd]
      const found = yield* readUntil(cursor, stops, (text) => out.text(text))
      if (found === undefined) return
      if (found === marks.callBegin) yield* readSectionCall(cursor, out, marks)
    }
  }
}

function* readSectionCall(cursor: TextCursor, out: PieceWriter, marks: SectionMarks): Reading<void> {
  cursor.mark()
  let name = ''
  const found = yield* readUntil(cursor, [marks.separator, marks.callEnd], (text) => (name += text))
  yield* skipSpace(cursor)
  // `function` in front of the separator is the kind of call; its name follows, then a fenced block.
  if (found === marks.separator && (yield* peek(cursor)) !== '{') {
    let line = ''
    yield* readUntil(cursor, ['\n'], (text) => (line += text))
    if (isName(line.trim())) name = line
    yield* tryTake(cursor, '```json')
    yield* skipSpace(cursor)
  }
  name = name
    .trim()
    .replace(/^functions\./, '')
    .replace(/:\d+$/, '')
  const seen = cursor.since()
  if (found === undefined || !isName(name)) {
    out.verbatim(marks.callBegin + seen)
    return
  }
  out.startCall(name)
  if (found === marks.separator) {
    yield* readArguments(cursor, (text) => out.callArguments(text))
    yield* readUntil(cursor, [marks.callEnd], ignore)
  }
  out.endCall()
}

/** What can be the name of a function; OpenAI allows 64 characters, models' own tools add dots. */
export function isName(text: string): boolean {
  return /^[\w.:/-]{1,128}$/.test(text)
}

function acceptAny(name: string): boolean {
  return isName(name)
}

function ignore(): void {
  // Syntax between the parts.
}
