import type { AnswerReader, ToolMap } from './call-readers.ts'
import type { PieceWriter } from './piece-writer.ts'
import { readUntil, type Reading, type TextCursor } from './text-cursor.ts'

/** The marks around a model's thinking. */
export interface ThinkingMarks {
  readonly open: string
  readonly close: string
}

const known: readonly ThinkingMarks[] = [
  { open: '<think>', close: '</think>' },
  { open: '[THINK]', close: '[/THINK]' },
  { open: '<seed:think>', close: '</seed:think>' },
  { open: '<|START_THINKING|>', close: '<|END_THINKING|>' },
  { open: '<thinking>', close: '</thinking>' },
]

/** The marks that a chat template shows its model to think between; undefined where it names none. */
export function thinkingMarksOf(template: string): ThinkingMarks | undefined {
  return known.find(({ open, close }) => template.includes(open) || template.includes(close))
}

/** Whether a prompt ends inside thinking: the template opened it, or a continued message did. */
export function endsInThinking(prompt: string, marks: ThinkingMarks, continuesMessage: boolean): boolean {
  const opened = prompt.lastIndexOf(marks.open)
  if (opened < 0 || prompt.indexOf(marks.close, opened) >= 0) return false
  return continuesMessage || prompt.slice(opened + marks.open.length).trim() === ''
}

/** Thinking, if the answer begins with it, then the answer. */
export function readThinking(marks: ThinkingMarks, opened: boolean, reader: AnswerReader): AnswerReader {
  return function* readThinkingThenAnswer(cursor, out, tools): Reading<void> {
    if (opened || (yield* tryTakeSpaced(cursor, marks.open))) {
      yield* readUntil(cursor, [marks.close], (text) => out.reasoning(text))
    }
    yield* reader(cursor, out, tools)
  }
}

/** Takes the mark and the white space in front of it; takes nothing where something else follows the space. */
function* tryTakeSpaced(cursor: TextCursor, mark: string): Reading<boolean> {
  for (;;) {
    const trimmed = cursor.rest.trimStart()
    if (trimmed.startsWith(mark)) {
      cursor.take(cursor.rest.length - trimmed.length + mark.length)
      return true
    }
    if (cursor.ended || !mark.startsWith(trimmed)) return false
    yield
  }
}

/** An answer of text alone. */
export function* readText(cursor: TextCursor, out: PieceWriter, _tools: ToolMap): Reading<void> {
  for (;;) {
    out.text(cursor.take(cursor.rest.length))
    if (cursor.ended) return
    yield
  }
}
