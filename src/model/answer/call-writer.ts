import type { CallSyntax } from './call-convention.ts'
import { elementMark } from './element-call.ts'
import { argumentFrame, type TaggedStyle } from './tagged-call.ts'

/** A call as the family's models write it, from the JSON text of its arguments. */
export function writeCall(syntax: CallSyntax, name: string, argumentText: string): string {
  return syntax.before(name) + writeArguments(syntax, argumentText) + syntax.after
}

function writeArguments({ arguments: written }: CallSyntax, text: string): string {
  const members = written.kind === 'json' ? undefined : parseMembers(text)
  // What is no object travels as it is, for the model to see.
  if (members === undefined) return text
  switch (written.kind) {
    case 'tags':
      return members.map(([key, value]) => writeTag(written.tags, key, value)).join('')
    case 'keywords':
      return members.map(([key, value]) => `${key}=${JSON.stringify(value)}`).join(', ')
    case 'elements':
      return members.map(([key, value]) => writeElement(key, value)).join('')
    default:
      return writeGemma(Object.fromEntries(members))
  }
}

function parseMembers(text: string): readonly (readonly [string, unknown])[] | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? Object.entries(value) : undefined
  } catch {
    return undefined
  }
}

function writeTag(style: TaggedStyle, key: string, value: unknown): string {
  const { typeNames } = style
  const isText = typeof value === 'string'
  const own = value === null ? 'null' : Array.isArray(value) ? 'array' : typeof value
  const other = typeNames?.others.includes(own) === true ? own : (typeNames?.others[0] ?? '')
  const [before, after] = argumentFrame(style, key, isText ? (typeNames?.text ?? '') : other)
  return before + (isText ? value : JSON.stringify(value)) + after
}

function writeElement(key: string, value: unknown): string {
  return `${elementMark}<${key}>${writeInner(value)}${elementMark}</${key}>`
}

function writeInner(value: unknown): string {
  if (typeof value === 'string') return value
  if (Array.isArray(value)) return value.map((item) => writeElement('item', item)).join('')
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  return Object.entries(value)
    .map(([key, inner]) => writeElement(key, inner))
    .join('')
}

function writeGemma(value: unknown): string {
  if (typeof value === 'string') return `<|"|>${value}<|"|>`
  if (Array.isArray(value)) return `[${value.map(writeGemma).join(',')}]`
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  const members = Object.entries(value).map(([key, inner]) => `${key}:${writeGemma(inner)}`)
  return `{${members.join(',')}}`
}
