import type { JsonSchema, ToolDefinition } from '../../inference/index.ts'
import type { PieceWriter } from './piece-writer.ts'
import { readUntil, skipSpace, tryTake, type Reading, type TextCursor } from './text-cursor.ts'

/**
 * Calls whose arguments are tags, one each, with bare text for strings and JSON for the rest. The tool's schema says
 * which it is. Each argument goes out as soon as its tag closes.
 *
 *   Qwen3-Coder:  <function=weather> <parameter=city> Oslo </parameter> </function>
 *   GLM:          weather <arg_key>city</arg_key> <arg_value>Oslo</arg_value>
 */
export interface TaggedStyle {
  /** Before and behind the call's name; '' where nothing stands there. */
  readonly nameOpen: string
  readonly nameClose: string
  readonly keyOpen: string
  readonly keyClose: string
  readonly valueOpen: string
  readonly valueClose: string
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
  end: '</function>',
}

export const glmTags: TaggedStyle = {
  nameOpen: '',
  nameClose: '',
  keyOpen: '<arg_key>',
  keyClose: '</arg_key>',
  valueOpen: '<arg_value>',
  valueClose: '</arg_value>',
  end: '',
}

/**
 * Takes the arguments behind the name and writes them as one JSON object. `inKey` says that the first key's opening
 * tag is taken already.
 */
export function* readTaggedArguments(
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
    if (!opened && !(yield* tryTake(cursor, style.keyOpen))) break
    opened = false
    let key = ''
    yield* readUntil(cursor, [style.keyClose], (text) => (key += text))
    yield* skipSpace(cursor)
    if (style.valueOpen !== '') yield* tryTake(cursor, style.valueOpen)
    let value = ''
    const closed = yield* readUntil(cursor, [style.valueClose], (text) => (value += text))
    if (closed === undefined) break
    out.callArguments(`${separator}${JSON.stringify(key.trim())}: ${toJson(value, propertySchema(tool, key.trim()))}`)
    separator = ', '
  }
  out.callArguments(separator === '{' ? '{}' : '}')
  if (style.end !== '') yield* tryTake(cursor, style.end)
}

/** A tag's text as JSON: bare text for strings, else JSON where it is JSON. */
function toJson(text: string, schema: JsonSchema | undefined): string {
  const bare = text.replace(/^\n/, '').replace(/\n$/, '')
  if (allowsOnly(schema, 'string')) return JSON.stringify(bare)
  try {
    const value: unknown = JSON.parse(bare)
    return JSON.stringify(value)
  } catch {
    return JSON.stringify(bare)
  }
}

function propertySchema(tool: ToolDefinition | undefined, key: string): JsonSchema | undefined {
  const parameters = tool?.parameters
  if (typeof parameters !== 'object') return undefined
  const properties = parameters['properties']
  if (typeof properties !== 'object' || properties === null) return undefined
  return (properties as Readonly<Record<string, JsonSchema>>)[key]
}

function allowsOnly(schema: JsonSchema | undefined, type: string): boolean {
  if (typeof schema !== 'object') return false
  if (schema['type'] === type) return true
  const values = schema['enum']
  return Array.isArray(values) && values.length > 0 && values.every((value) => typeof value === type)
}
