import type { ToolChoice, ToolDefinition } from '../../inference/index.ts'
import { Fields, invalid, unsupported, wrongType } from '../fields.ts'
import type { ProtocolLimits } from '../limits.ts'
import { readJsonSchema } from './constraint.ts'

export interface ToolUse {
  readonly tools: readonly ToolDefinition[]
  readonly toolChoice: ToolChoice
}

/** `tools` and `tool_choice`. A choice that no tool can satisfy is refused here, before anything is generated. */
export function readToolUse(body: Fields, limits: ProtocolLimits): ToolUse {
  if ((body.array('functions')?.length ?? 0) > 0) body.refuse('functions', 'it became tools; send tools.')
  const raw = body.array('tools', { name: 'maxTools', maximum: limits.maxTools, unit: 'tools' }) ?? []
  const tools = raw.map((tool, index) => readTool(Fields.of(tool, `tools[${index}]`), limits))
  return readChoice(body, tools)
}

function readTool(tool: Fields, limits: ProtocolLimits): ToolDefinition {
  const type = tool.string('type') ?? 'function'
  if (type !== 'function')
    throw unsupported(tool.path('type'), `tools of type ${JSON.stringify(type)}; only functions are.`)
  const definition = tool.requiredObject('function')
  const name = definition.requiredString('name')
  if (!/^[\w.-]{1,128}$/.test(name)) {
    throw invalid(definition.path('name'), 'must be 1 to 128 letters, digits, underscores, dots or hyphens.')
  }
  const parameters = readJsonSchema(definition, 'parameters', limits)
  if (typeof parameters === 'object') requireObjects(parameters['type'], `${definition.path('parameters')}.type`)
  return {
    name,
    description: definition.string('description'),
    parameters,
    strict: definition.boolean('strict') ?? false,
  }
}

/** Arguments are an object, whatever else the schema allows. */
function requireObjects(type: unknown, path: string): void {
  if (type === undefined || type === 'object' || (Array.isArray(type) && type.includes('object'))) return
  throw invalid(path, `is ${JSON.stringify(type)?.slice(0, 80)}; the arguments of a function are an "object".`)
}

function readChoice(body: Fields, tools: readonly ToolDefinition[]): ToolUse {
  const raw = body.raw('tool_choice')
  if (raw === undefined) return { tools, toolChoice: { kind: tools.length === 0 ? 'none' : 'auto' } }
  if (typeof raw === 'string') {
    const kind = body.word('tool_choice', ['none', 'auto', 'required']) ?? 'auto'
    if (kind === 'required' && tools.length === 0) throw invalid('tool_choice', 'is "required", but tools is empty.')
    return { tools, toolChoice: { kind: tools.length === 0 ? 'none' : kind } }
  }
  if (typeof raw !== 'object') throw wrongType('tool_choice', raw, '"none", "auto", "required" or an object')
  const choice = Fields.of(raw, 'tool_choice')
  const type = choice.requiredString('type')
  if (type === 'allowed_tools') return readAllowedTools(choice, tools)
  if (type !== 'function') throw unsupported('tool_choice.type', `${JSON.stringify(type)}; only functions are.`)
  const named = choice.requiredObject('function')
  const name = named.requiredString('name')
  requireTool(tools, name, named.path('name'))
  return { tools, toolChoice: { kind: 'named', name } }
}

/** OpenAI's subset of tools for one turn: the others are as if they had not been sent. */
function readAllowedTools(choice: Fields, tools: readonly ToolDefinition[]): ToolUse {
  const allowed = choice.requiredObject('allowed_tools')
  const kind = allowed.word('mode', ['auto', 'required']) ?? 'auto'
  const names = new Set<string>()
  for (const [index, entry] of allowed.requiredArray('tools').entries()) {
    const path = `${allowed.path('tools')}[${index}]`
    const name = Fields.of(entry, path).requiredObject('function').requiredString('name')
    requireTool(tools, name, `${path}.function.name`)
    names.add(name)
  }
  const kept = tools.filter((tool) => names.has(tool.name))
  if (kept.length === 0) throw invalid(allowed.path('tools'), 'is empty; it must name at least one tool.')
  return { tools: kept, toolChoice: { kind } }
}

function requireTool(tools: readonly ToolDefinition[], name: string, path: string): void {
  if (tools.some((tool) => tool.name === name)) return
  const known = tools.map((tool) => tool.name).join(', ') || 'none'
  throw invalid(path, `is ${JSON.stringify(name.slice(0, 128))}, which is not among tools (${known}).`)
}
