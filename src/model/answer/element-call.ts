import type { ToolDefinition } from '../../inference/index.ts'
import { argumentTypes } from './argument-types.ts'
import { isName } from './call-name.ts'
import { giveBack, type ToolMap } from './call-readers.ts'
import type { PieceWriter } from './piece-writer.ts'
import { toJson } from './tagged-call.ts'
import { readUntil, skipSpace, tryTake, type Reading, type TextCursor } from './text-cursor.ts'

/** In front of every tag. */
export const elementMark = ']<]minimax[>['

/**
 * MiniMax M3: every tag has a mark of its own in front, an argument's element has its name, and what is nested is
 * made of elements, lists of elements called `item`. Shown with `~` for the mark:
 *
 *   ~<tool_call> ~<invoke name="f">~<city>Oslo~</city>~<days>~<item>1~</item>~</days>~</invoke> ~</tool_call>
 */
export function* readElements(cursor: TextCursor, out: PieceWriter, tools: ToolMap): Reading<void> {
  const opens = [`${elementMark}<tool_call>`, `${elementMark}<invoke name="`, `${elementMark}</tool_call>`]
  for (;;) {
    const found = yield* readUntil(cursor, opens, (text) => out.text(text))
    if (found === undefined) return
    if (found === opens[1]) yield* readInvocation(cursor, out, tools, found)
  }
}

function* readInvocation(cursor: TextCursor, out: PieceWriter, tools: ToolMap, open: string): Reading<void> {
  cursor.mark()
  let name = ''
  const closed = yield* readUntil(cursor, ['">'], (text) => (name += text))
  if (closed === undefined || !isName(name)) return giveBack(cursor, out, open)
  cursor.since()
  out.startCall(name)
  let separator = '{'
  for (;;) {
    yield* skipSpace(cursor)
    if (!(yield* tryTake(cursor, `${elementMark}<`))) break
    let tag = ''
    if ((yield* readUntil(cursor, ['>'], (text) => (tag += text))) === undefined || tag.startsWith('/')) break
    const body = yield* readBody(cursor)
    if (body === undefined) break
    out.callArguments(`${separator}${JSON.stringify(tag)}: ${toValue(body, tools.get(name), [tag])}`)
    separator = ', '
  }
  if (!cursor.cut) out.callArguments(separator === '{' ? '{}' : '}')
  out.endCall()
}

/** What an element holds, up to the tag that closes it, whatever its name; undefined where none does. */
function* readBody(cursor: TextCursor): Reading<string | undefined> {
  let body = ''
  for (let depth = 1; ;) {
    if ((yield* readUntil(cursor, [elementMark], (text) => (body += text))) === undefined) return undefined
    const closes = yield* tryTake(cursor, '</')
    depth += closes ? -1 : 1
    let tag = ''
    if (closes) yield* readUntil(cursor, ['>'], (text) => (tag += text))
    if (depth === 0) return body
    body += closes ? `${elementMark}</${tag}>` : elementMark
  }
}

/** An element's content as JSON. The schema says what text means; without elements inside, it is text. */
function toValue(body: string, tool: ToolDefinition | undefined, path: readonly string[]): string {
  const types = argumentTypes(tool, path)
  const children = types?.size === 1 && types.has('string') ? [] : childrenOf(body)
  if (children.length === 0) {
    // Without elements inside, a list or an object is empty.
    const empty = body.trim() === '' && types?.size === 1
    return empty && types.has('array') ? '[]' : empty && types.has('object') ? '{}' : toJson(body, types)
  }
  const isList = children.every(({ tag }) => tag === 'item') && types?.has('object') !== true
  const values = children.map(({ tag, content }) => ({
    tag,
    value: toValue(content, tool, [...path, isList ? '' : tag]),
  }))
  return isList
    ? `[${values.map(({ value }) => value).join(', ')}]`
    : `{${values.map(({ tag, value }) => `${JSON.stringify(tag)}: ${value}`).join(', ')}}`
}

/** The elements side by side in the text, whatever is inside them. */
function childrenOf(body: string): { tag: string; content: string }[] {
  const children: { tag: string; content: string }[] = []
  const tags = new RegExp(`${elementMark.replace(/[[\]]/g, '\\$&')}<(/?)([^>]+)>`, 'g')
  let depth = 0
  let begin = 0
  let tag = ''
  for (const match of body.matchAll(tags)) {
    const closes = match[1] === '/'
    if (!closes && depth === 0) {
      begin = match.index + match[0].length
      tag = match[2] ?? ''
    }
    depth += closes ? -1 : 1
    if (closes && depth === 0) children.push({ tag, content: body.slice(begin, match.index) })
  }
  return children
}
