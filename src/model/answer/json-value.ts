import { peek, skipSpace, type Reading, type TextCursor } from './text-cursor.ts'

/**
 * Takes one JSON value and hands its text on while it arrives. True when the value is complete. It follows
 * strings, brackets and braces, which is enough to find the end; it does not judge what stands between them.
 */
export function* readJsonValue(cursor: TextCursor, emit: (text: string) => void): Reading<boolean> {
  const first = yield* peek(cursor)
  if (first === undefined) return false
  if (first === '"') {
    const text = yield* readJsonString(cursor)
    if (text !== undefined) emit(text)
    return text !== undefined
  }
  return first === '{' || first === '[' ? yield* readNested(cursor, emit) : yield* readBare(cursor, emit)
}

/** Takes a JSON string, quotes included, and gives its text; undefined where it does not end. */
export function* readJsonString(cursor: TextCursor): Reading<string | undefined> {
  let text = ''
  let escaped = false
  for (;;) {
    const { rest } = cursor
    for (let at = 0; at < rest.length; at += 1) {
      const letter = rest[at]
      if (escaped) escaped = false
      else if (letter === '\\') escaped = true
      else if (letter === '"' && text.length + at > 0) return text + cursor.take(at + 1)
    }
    text += cursor.take(rest.length)
    if (cursor.ended) return undefined
    yield
  }
}

function* readNested(cursor: TextCursor, emit: (text: string) => void): Reading<boolean> {
  let depth = 0
  let quoted = false
  let escaped = false
  for (;;) {
    const { rest } = cursor
    for (let at = 0; at < rest.length; at += 1) {
      const letter = rest[at]
      if (escaped) escaped = false
      else if (quoted && letter === '\\') escaped = true
      else if (letter === '"') quoted = !quoted
      else if (!quoted && (letter === '{' || letter === '[')) depth += 1
      else if (!quoted && (letter === '}' || letter === ']')) {
        depth -= 1
        if (depth > 0) continue
        emit(cursor.take(at + 1))
        return true
      }
    }
    emit(cursor.take(rest.length))
    if (cursor.ended) return false
    yield
  }
}

/** A number, true, false or null: up to what cannot belong to it. */
function* readBare(cursor: TextCursor, emit: (text: string) => void): Reading<boolean> {
  for (;;) {
    const { rest } = cursor
    const end = rest.search(/[\s,}\]]/)
    emit(cursor.take(end < 0 ? rest.length : end))
    if (end >= 0 || cursor.ended) return end >= 0
    yield
  }
}

/** Takes the key of the next member and its colon. The key; `end` behind the last member; undefined where it is no JSON. */
export function* readJsonKey(cursor: TextCursor): Reading<{ key: string } | 'end' | undefined> {
  yield* skipSpace(cursor)
  let next = yield* peek(cursor)
  if (next === ',') {
    cursor.take(1)
    yield* skipSpace(cursor)
    next = yield* peek(cursor)
  }
  if (next === '}') {
    cursor.take(1)
    return 'end'
  }
  if (next !== '"') return undefined
  const key = decodeJsonString(yield* readJsonString(cursor))
  yield* skipSpace(cursor)
  if (key === undefined || (yield* peek(cursor)) !== ':') return undefined
  cursor.take(1)
  yield* skipSpace(cursor)
  return { key }
}

/** What a JSON string says; undefined for what is none. */
export function decodeJsonString(text: string | undefined): string | undefined {
  if (text === undefined) return undefined
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'string' ? value : undefined
  } catch {
    return undefined
  }
}
