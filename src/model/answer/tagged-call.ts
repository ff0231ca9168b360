import type { ToolDefinition } from '../../inference/index.ts'
import { argumentTypes, typeOfJson, type ArgumentTypes } from './argument-types.ts'
import { readArguments } from './json-call.ts'
import { isName } from './call-name.ts'
import type { PieceWriter } from './piece-writer.ts'
import { peek, readUntil, skipSpace, tryTake, type Reading, type TextCursor } from './text-cursor.ts'

/**
 * Calls whose arguments are tags, one each, with bare text for strings and JSON for the rest. The tool's schema says
 * which it is, or the tag itself. Each argument goes out as soon as its tag closes.
 *
 *   Qwen3-Coder:   <function=weather> <parameter=city> Oslo </parameter> </function>
 *   GLM:           weather <arg_key>city</arg_key> <arg_value>Oslo</arg_value>
 *   MiniMax M2:    <invoke name="weather"> <parameter name="city">Oslo</parameter> </invoke>
 *   DeepSeek V3.2: the same, with string="true" or string="false" behind the key
 */
export interface TaggedStyle {
  /** Before and behind the call's name; '' where nothing stands there. */
  readonly nameOpen: string
  readonly nameClose: string
  readonly keyOpen: string
  readonly keyClose: string
  /** Between the key and its value there may be white space and this; '' where the value follows at once. */
  readonly valueOpen: string
  readonly valueClose: string
  /** A line break on each side of a value is layout. No more than one: the rest is the value's own. */
  readonly lineBreaks: boolean
  /** The tag says the value's type behind the key, and closes with this. */
  readonly typeClose?: string
  /** How the tag calls a string, and another value. */
  readonly typeNames?: { readonly text: string; readonly others: readonly string[] }
  /** Behind an argument as the family's templates write it. */
  readonly gap: string
  /** Behind the last argument; '' where nothing stands there. */
  readonly end: string
}

export const qwenTags: TaggedStyle = {
  nameOpen: '<function=',
  nameClose: '>',
  keyOpen: '<parameter=',
  keyClose: '>',
  valueOpen: '',
  valueClose: '</parameter>',
  lineBreaks: true,
  gap: '\n',
  end: '</function>',
}

export const seedTags: TaggedStyle = { ...qwenTags, lineBreaks: false }

export const glmTags: TaggedStyle = {
  nameOpen: '',
  nameClose: '',
  keyOpen: '<arg_key>',
  keyClose: '</arg_key>',
  valueOpen: '<arg_value>',
  valueClose: '</arg_value>',
  lineBreaks: false,
  gap: '\n',
  end: '',
}

export const minimaxTags: TaggedStyle = {
  nameOpen: '<invoke name="',
  nameClose: '">',
  keyOpen: '<parameter name="',
  keyClose: '">',
  valueOpen: '',
  valueClose: '</parameter>',
  lineBreaks: false,
  gap: '\n',
  end: '</invoke>',
}

export const deepseekTags: TaggedStyle = {
  nameOpen: '<｜DSML｜invoke name="',
  nameClose: '">',
  keyOpen: '<｜DSML｜parameter name="',
  keyClose: '" string="',
  typeClose: '">',
  typeNames: { text: 'true', others: ['false'] },
  valueOpen: '',
  valueClose: '</｜DSML｜parameter>',
  lineBreaks: false,
  gap: '\n',
  end: '</｜DSML｜invoke>',
}

export const kimiTags: TaggedStyle = {
  nameOpen: '<|open|>call tool="',
  nameClose: '<|sep|>',
  keyOpen: '<|open|>argument key="',
  keyClose: '" type="',
  typeClose: '"<|sep|>',
  typeNames: { text: 'string', others: ['number', 'boolean', 'null', 'object', 'array'] },
  valueOpen: '',
  valueClose: '<|close|>argument<|sep|>',
  lineBreaks: false,
  gap: '',
  end: '<|close|>call<|sep|>',
}

/** What stands around the argument's value, as the family's templates write it. */
export function argumentFrame(style: TaggedStyle, key: string, type: string): readonly [before: string, after: string] {
  const lead = style.valueOpen === '' ? '' : `\n${style.valueOpen}`
  const line = style.lineBreaks ? '\n' : ''
  const typed = style.typeClose === undefined ? '' : type + style.typeClose
  return [style.keyOpen + key + style.keyClose + typed + lead + line, line + style.valueClose + style.gap]
}

/**
 * Takes a call from its name on, which must be that of a known tool where `known` is given. `none`, with nothing
 * written, where it is no call; `closed` where the mark that closes calls was taken with it.
 */
export function* readTaggedCall(
  cursor: TextCursor,
  out: PieceWriter,
  style: TaggedStyle,
  tools: ReadonlyMap<string, ToolDefinition>,
  known: boolean,
): Reading<'none' | 'read' | 'closed'> {
  const tagged = style.nameOpen !== ''
  const marks = tagged ? [style.nameClose] : [style.keyOpen, '</tool_call>', '\n']
  let name = ''
  const found = yield* readUntil(cursor, marks, (text) => (name += text))
  name = name.replace(/".*/, '').trim()
  if (found === undefined || !isName(name) || (known && !tools.has(name))) return 'none'
  out.startCall(name)
  if (found === '</tool_call>') {
    out.endCall()
    return 'closed'
  }
  // The key's tag was taken with the name; the reader of arguments wants to see it.
  yield* readTaggedArguments(cursor, out, style, tools.get(name), found === style.keyOpen)
  out.endCall()
  return 'read'
}

/**
 * Takes the arguments behind the name and writes them as one JSON object. `inKey` says that the first key's opening
 * tag is taken already. Some models write one JSON object in place of tags.
 */
function* readTaggedArguments(
  cursor: TextCursor,
  out: PieceWriter,
  style: TaggedStyle,
  tool: ToolDefinition | undefined,
  inKey: boolean,
): Reading<void> {
  let separator = '{'
  let opened = inKey
  for (;;) {
    yield* skipSpace(cursor)
    if (!opened && (yield* peek(cursor)) === '{' && separator === '{') {
      yield* readArguments(cursor, (text) => out.callArguments(text))
      yield* skipSpace(cursor)
      yield* tryTake(cursor, style.end)
      return
    }
    if (!opened && !(yield* tryTake(cursor, style.keyOpen))) break
    opened = false
    const argument = yield* readArgument(cursor, style, tool)
    if (argument === undefined) break
    out.callArguments(`${separator}${argument}`)
    separator = ', '
  }
  // Cut off inside its arguments, a call has those that are whole, and is seen to be unfinished.
  if (!cursor.cut) out.callArguments(separator === '{' ? '{}' : '}')
  if (style.end !== '') yield* tryTake(cursor, style.end)
}

/** One member of the JSON object; undefined where it does not end. */
function* readArgument(
  cursor: TextCursor,
  style: TaggedStyle,
  tool: ToolDefinition | undefined,
): Reading<string | undefined> {
  let key = ''
  yield* readUntil(cursor, [style.keyClose], (text) => (key += text))
  key = key.trim()
  let types = argumentTypes(tool, [key])
  if (style.typeClose !== undefined) {
    let type = ''
    yield* readUntil(cursor, [style.typeClose], (text) => (type += text))
    if (type.trim() === style.typeNames?.text) types = new Set(['string'])
  }
  if (style.valueOpen !== '') {
    yield* skipSpace(cursor)
    yield* tryTake(cursor, style.valueOpen)
  }
  let value = ''
  const closed = yield* readUntil(cursor, [style.valueClose], (text) => (value += text))
  if (closed === undefined) return undefined
  const bare = style.lineBreaks ? value.replace(/^\n/, '').replace(/\n$/, '') : value
  return `${JSON.stringify(key)}: ${toJson(bare, types)}`
}

const pythonWords: Readonly<Record<string, string>> = { True: 'true', False: 'false', None: 'null' }

/** A tag's text as JSON: bare text for strings, else JSON where it is JSON. */
export function toJson(text: string, types: ArgumentTypes): string {
  const mayBeText = types === undefined || types.has('string')
  const trimmed = text.trim()
  const json = mayBeText ? trimmed : (pythonWords[trimmed] ?? trimmed)
  try {
    const type = typeOfJson(JSON.parse(json))
    if (!mayBeText || (type !== 'string' && types?.has(type) !== false)) return json
  } catch {}
  return JSON.stringify(text)
}
