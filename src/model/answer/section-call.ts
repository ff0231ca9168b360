import { isName } from './call-name.ts'
import { giveBack, ignore, type AnswerReader } from './call-readers.ts'
import { readArguments } from './json-call.ts'
import type { PieceWriter } from './piece-writer.ts'
import { peek, readUntil, skipSpace, tryTake, type Reading, type TextCursor } from './text-cursor.ts'

/**
 * DeepSeek, Kimi and Solar: calls in a section of special tokens, each in two halves.
 *
 *   DeepSeek R1, V3: <｜tool▁call▁begin｜>function<｜tool▁sep｜>f \n ```json \n {…} \n ``` <｜tool▁call▁end｜>
 *   DeepSeek V3.1:   <｜tool▁call▁begin｜>f<｜tool▁sep｜>{…}<｜tool▁call▁end｜>
 *   Solar Open:      <|tool_call:begin|>0<|tool_call:name|>f<|tool_call:args|>{…}<|tool_call:end|>
 *   Kimi K2:         <|tool_call_begin|>functions.f:0<|tool_call_argument_begin|>{…}<|tool_call_end|>
 */
export interface SectionMarks {
  readonly sectionBegin: string
  readonly sectionEnd: string
  readonly callBegin: string
  /** Between an identifier and the name; absent where the call begins with its name. */
  readonly nameBegin?: string
  readonly separator: string
  readonly callEnd: string
  /** Marks around plain text that are none of it. */
  readonly dropped?: readonly string[]
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
      const stops = [marks.sectionBegin, marks.callBegin, marks.sectionEnd, ...(marks.dropped ?? [])]
      const found = yield* readUntil(cursor, stops, (text) => out.text(text))
      if (found === undefined) return
      if (found === marks.callBegin) yield* readSectionCall(cursor, out, marks)
    }
  }
}

function* readSectionCall(cursor: TextCursor, out: PieceWriter, marks: SectionMarks): Reading<void> {
  cursor.mark()
  let name = ''
  if (marks.nameBegin !== undefined) yield* readUntil(cursor, [marks.nameBegin], ignore)
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
  if (found === undefined || !isName(name)) {
    giveBack(cursor, out, marks.callBegin)
    return
  }
  cursor.since()
  out.startCall(name)
  if (found === marks.separator) {
    yield* readArguments(cursor, (text) => out.callArguments(text))
    yield* readUntil(cursor, [marks.callEnd], ignore)
  }
  out.endCall()
}
