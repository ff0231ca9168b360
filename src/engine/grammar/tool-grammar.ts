import { TokenmillError } from '../../core/index.ts'
import type { ChatInput, ToolDefinition } from '../../inference/index.ts'
import type { CallSyntax, TaggedStyle } from '../../model/index.ts'
import { complementAutomaton, searchAutomatonOf } from './automaton.ts'
import { choice, never, nothing, optional, repeat, sequence, text, type Expression } from './expression.ts'
import { encodePlainLetters, type GrammarBuilder } from './grammar-builder.ts'
import { jsonObject, jsonSpace } from './json-text.ts'
import * as pattern from './pattern.ts'
import { SchemaCompiler } from './schema-compiler.ts'
import { invalidSchema, requireRecord, type SchemaObject } from './schema-keywords.ts'

/** The tools that the request lets the model call. Throws `invalid_request` for a choice of a tool that is not there. */
export function callableTools(chat: ChatInput): readonly ToolDefinition[] {
  const { toolChoice, tools } = chat
  if (toolChoice.kind === 'none') return []
  const callable = toolChoice.kind === 'named' ? tools.filter((tool) => tool.name === toolChoice.name) : tools
  if (callable.length > 0 || toolChoice.kind === 'auto') return callable
  const wanted = toolChoice.kind === 'named' ? `the tool '${toolChoice.name}'` : 'a tool'
  throw new TokenmillError('invalid_request', `tool_choice demands ${wanted}, and no such tool is in 'tools'.`, {
    param: 'tool_choice',
    available: tools.map((tool) => tool.name),
  })
}

/**
 * The text of one call or several, as the model's family writes it. With `behind`, the part that follows this text,
 * which the model has already written: every call's text must begin with it.
 */
export function writeCalls(
  grammar: GrammarBuilder,
  syntax: CallSyntax,
  tools: readonly ToolDefinition[],
  parallel: boolean,
  behind: string,
): Expression {
  const oneOf = (skipped: string): Expression =>
    choice(...tools.map((tool, at) => writeCall(grammar, syntax, tool, `tools[${at}].function.parameters`, skipped)))
  const skippedInOpen = behind.slice(0, syntax.open.length)
  const first = oneOf(behind.slice(syntax.open.length))
  const more =
    parallel && syntax.between !== undefined
      ? repeat(sequence(text(syntax.between), grammar.rule('call', oneOf(''))), 0, undefined)
      : nothing
  return sequence(
    text(syntax.open.slice(skippedInOpen.length)),
    grammar.rule('first-call', first),
    more,
    text(syntax.close),
  )
}

function writeCall(
  grammar: GrammarBuilder,
  syntax: CallSyntax,
  tool: ToolDefinition,
  path: string,
  skipped: string,
): Expression {
  const before = syntax.before(tool.name)
  if (!before.startsWith(skipped)) return never
  const parameters = grammar.shared(`arguments of ${tool.name}${syntax.tags === undefined ? '' : ' as tags'}`, () =>
    syntax.tags === undefined ? writeParameters(grammar, tool, path) : writeTags(grammar, tool, syntax.tags, path),
  )
  return sequence(text(before.slice(skipped.length)), parameters, text(syntax.after))
}

/** The arguments as a JSON object. A schema that cannot be enforced binds only where the tool says `strict`. */
function writeParameters(grammar: GrammarBuilder, tool: ToolDefinition, path: string): Expression {
  const schema = tool.parameters
  if (schema === undefined || schema === true) return jsonObject(grammar)
  try {
    const objects = typeof schema === 'object' ? { ...schema, type: 'object' } : schema
    return new SchemaCompiler(grammar, { schema: objects, path }).compile({ schema: objects, path })
  } catch (error) {
    if (tool.strict || !(error instanceof TokenmillError) || error.code !== 'unsupported') throw error
    return jsonObject(grammar)
  }
}

/** The arguments as tags, in the schema's order. */
function writeTags(grammar: GrammarBuilder, tool: ToolDefinition, style: TaggedStyle, path: string): Expression {
  const schema = typeof tool.parameters === 'object' ? tool.parameters : {}
  const properties = requireRecord(schema['properties'] ?? {}, `${path}.properties`)
  const required = Array.isArray(schema['required']) ? schema['required'] : []
  const compiler = new SchemaCompiler(grammar, { schema, path })
  const members = Object.entries(properties).map(([key, property]) => {
    if (typeof property !== 'object' || property === null)
      throw invalidSchema(`${path}.properties`, 'a schema belongs here')
    const value = isText(property as SchemaObject)
      ? textWithout(grammar, style.valueClose)
      : compiler.compile({ schema: property as SchemaObject, path: `${path}.properties.${key}` })
    const gap = style.valueOpen === '' ? text('\n') : nothing
    const lead = style.valueOpen === '' ? nothing : sequence(text('\n'), text(style.valueOpen))
    const tag = sequence(
      text(style.keyOpen + key + style.keyClose),
      lead,
      gap,
      value,
      gap,
      text(`${style.valueClose}\n`),
    )
    return required.includes(key) ? tag : optional(grammar.rule('argument', tag))
  })
  return sequence(...members)
}

function isText(schema: SchemaObject): boolean {
  return schema['type'] === 'string' && !('enum' in schema) && !('const' in schema)
}

/** Any text in which the mark does not occur. */
export function textWithout(grammar: GrammarBuilder, mark: string): Expression {
  return grammar.shared(`text without ${mark}`, () =>
    grammar.automaton('t', complementAutomaton(searchAutomatonOf(pattern.text(mark))), encodePlainLetters),
  )
}

/** Any text up to the first occurrence of the mark, the mark, and white space. */
export function textThrough(grammar: GrammarBuilder, mark: string): Expression {
  return sequence(textWithout(grammar, mark), text(mark), jsonSpace(grammar), jsonSpace(grammar))
}
