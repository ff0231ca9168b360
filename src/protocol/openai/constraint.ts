import type { JsonSchema, OutputConstraint } from '../../inference/index.ts'
import { checkDepth, invalid, wrongType, type Fields } from '../fields.ts'
import type { ProtocolLimits } from '../limits.ts'

/**
 * The shape asked of the output: OpenAI's `response_format`, vLLM's `structured_outputs` and its older `guided_*`,
 * llama-server's `grammar` and `json_schema`. At most one of them.
 */
export function readConstraint(body: Fields, limits: ProtocolLimits): OutputConstraint | undefined {
  const found = [
    fromResponseFormat(body, limits),
    ...fromWords(body.object('structured_outputs'), '', limits),
    ...fromWords(body, 'guided_', limits),
    ...fromLlamaServer(body, limits),
  ].filter((each) => each !== undefined)
  if (found.length > 1) {
    throw invalid('response_format', 'and other output constraints are both set; only one can hold. Send one.')
  }
  return found[0]
}

function fromResponseFormat(body: Fields, limits: ProtocolLimits): OutputConstraint | undefined {
  const format = body.object('response_format')
  if (format === undefined) return undefined
  const type = format.word('type', ['text', 'json_object', 'json_schema'])
  if (type === undefined)
    throw invalid(format.path('type'), 'is missing; it must be "text", "json_object" or "json_schema".')
  if (type === 'text') return undefined
  if (type === 'json_object') return schemaConstraint(format, 'schema', limits) ?? { kind: 'jsonObject' }
  const wrapper = format.requiredObject('json_schema')
  return {
    kind: 'jsonSchema',
    name: wrapper.string('name') ?? 'schema',
    schema: readJsonSchema(wrapper, 'schema', limits) ?? true,
    strict: wrapper.boolean('strict') ?? false,
  }
}

function fromWords(
  source: Fields | undefined,
  prefix: string,
  limits: ProtocolLimits,
): (OutputConstraint | undefined)[] {
  if (source === undefined) return []
  for (const name of ['regex', 'structural_tag', 'whitespace_pattern']) {
    if (source.has(prefix + name)) source.refuse(prefix + name, 'use a JSON schema, a list of choices or a grammar.')
  }
  const choices = source.array(`${prefix}choice`)
  const grammar = source.string(`${prefix}grammar`)
  return [
    schemaConstraint(source, `${prefix}json`, limits),
    source.boolean(`${prefix}json_object`) === true ? { kind: 'jsonObject' } : undefined,
    choices === undefined ? undefined : choiceConstraint(choices, source.path(`${prefix}choice`)),
    grammar === undefined ? undefined : { kind: 'grammar', grammar },
  ]
}

function fromLlamaServer(body: Fields, limits: ProtocolLimits): (OutputConstraint | undefined)[] {
  const grammar = body.string('grammar')
  return [
    grammar === undefined || grammar === '' ? undefined : { kind: 'grammar', grammar },
    schemaConstraint(body, 'json_schema', limits),
  ]
}

function schemaConstraint(source: Fields, name: string, limits: ProtocolLimits): OutputConstraint | undefined {
  const schema = readJsonSchema(source, name, limits)
  return schema === undefined ? undefined : { kind: 'jsonSchema', name: 'schema', schema, strict: true }
}

/** One of the texts, as a grammar with one alternative for each. */
function choiceConstraint(choices: readonly unknown[], path: string): OutputConstraint {
  if (choices.length === 0) throw invalid(path, 'is empty; it must name at least one choice.')
  const alternatives = choices.map((choice, index) => {
    if (typeof choice !== 'string') throw wrongType(`${path}[${index}]`, choice, 'a string')
    return gbnfLiteral(choice)
  })
  return { kind: 'grammar', grammar: `root ::= ${alternatives.join(' | ')}` }
}

/** A quoted GBNF literal (llama.cpp, grammars/README.md): backslash escapes, one line. */
function gbnfLiteral(text: string): string {
  const escapes: Readonly<Record<string, string>> = { '"': '\\"', '\\': '\\\\', '\n': '\\n', '\r': '\\r', '\t': '\\t' }
  return `"${text.replace(/["\\\n\r\t]/g, (character) => escapes[character] ?? character)}"`
}

/** A JSON Schema: an object, true or false; as text too, as vLLM's clients send it. */
export function readJsonSchema(source: Fields, name: string, limits: ProtocolLimits): JsonSchema | undefined {
  const path = source.path(name)
  let value = source.raw(name)
  if (value === undefined) return undefined
  if (typeof value === 'string') {
    try {
      value = JSON.parse(value) as unknown
    } catch {
      throw invalid(path, 'is a string that is not JSON; it must be a JSON Schema.')
    }
  }
  if (typeof value === 'boolean') return value
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw wrongType(path, value, 'a JSON Schema')
  checkDepth(value, path, limits.maxJsonDepth)
  return value as JsonSchema
}
