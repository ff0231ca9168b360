import type { RelayOperation } from '../inference/index.ts'
import { MemberChanger } from '../protocol/index.ts'
import type { Dialect } from './dialect.ts'
import { refuse } from './dialects/extras.ts'

type Kind = Dialect['kind']

/** Members of the body in place of one field; a function makes the new value out of the one that is there. */
export type FieldChange = Readonly<Record<string, unknown>>

/**
 * What an engine does with a field: it takes it, it would drop it silently and so it is refused here, or it knows the same
 * under another name.
 */
export type FieldRule =
  | 'takes'
  | 'refused'
  /** Undefined: this value goes through as it stands. */
  | ((value: unknown, operation: RelayOperation) => FieldChange | undefined)

const takes = 'takes'
const refused = 'refused'
const dropped: FieldRule = () => ({})

/**
 * Fields beyond OpenAI's own × engines, from the engines' request models: vLLM 0.32 (`chat_completion/protocol.py`), SGLang
 * 0.5.23 (`openai/protocol.py`), trtllm-serve (`openai_protocol.py`), llama-server (`tools/server/README.md`). Fields that are
 * not listed go through as they stand. Another Tokenmill answers for itself.
 */
export const fieldRules: Readonly<Record<string, Readonly<Record<Exclude<Kind, 'tokenmill'>, FieldRule>>>> = {
  guided_json: row(vllmWords('json'), sglangSchema, trtllmSchema, responseFormat, responseFormat),
  guided_regex: row(vllmWords('regex'), (regex) => ({ regex }), trtllmFormat('regex'), refused, refused),
  guided_choice: row(vllmWords('choice'), (value) => ({ regex: toRegex(value) }), trtllmChoice, llamaChoice, refused),
  guided_grammar: row(vllmWords('grammar'), (ebnf) => ({ ebnf }), trtllmFormat('ebnf'), asGrammar, refused),
  grammar: row(vllmWords('grammar'), (ebnf) => ({ ebnf }), trtllmFormat('ebnf'), takes, refused),
  json_schema: row(vllmWords('json'), sglangJsonSchema, trtllmSchema, takes, responseFormat),
  structured_outputs: row(
    takes,
    structured('sglang'),
    structured('trtllm'),
    structured('llama-server'),
    structured('openai'),
  ),
  regex: row(vllmWords('regex'), takes, trtllmFormat('regex'), refused, refused),
  ebnf: row(vllmWords('grammar'), takes, trtllmFormat('ebnf'), refused, refused),
  tool_choice: row(allowedTools, sglangToolChoice, allowedTools, allowedTools, takes),
  prompt_logprobs: row(takes, refused, refused, refused, refused),
  include_stop_str_in_output: row(takes, (value) => ({ no_stop_trim: value }), takes, refused, refused),
  min_tokens: row(takes, takes, takes, refused, refused),
  stop_token_ids: row(takes, takes, takes, refused, refused),
  ignore_eos: row(takes, takes, takes, takes, takes),
  bad_words: row(takes, refused, refused, refused, refused),
  allowed_token_ids: row(takes, refused, refused, refused, refused),
  truncate_prompt_tokens: row(takes, refused, takes, refused, refused),
  return_token_ids: row(takes, takes, refused, refused, refused),
  continue_final_message: row(takes, takes, refused, dropped, refused),
  add_generation_prompt: row(takes, dropped, takes, dropped, refused),
  chat_template_kwargs: row(takes, takes, takes, takes, refused),
}

function row(vllm: FieldRule, sglang: FieldRule, trtllm: FieldRule, llamaServer: FieldRule, openai: FieldRule) {
  return { vllm, sglang, trtllm, 'llama-server': llamaServer, openai }
}

/**
 * What to change for a field of this value; undefined where it goes through as it stands. Throws `unsupported` for what the
 * engine would drop, unless the value asks for nothing.
 */
export function changeFor(
  field: string,
  value: unknown,
  kind: Kind,
  operation: RelayOperation,
): FieldChange | undefined {
  if (kind === 'tokenmill') return undefined
  const rule = fieldRules[field]?.[kind] ?? takes
  if (rule === takes) return undefined
  if (asksNothing(value)) return {}
  if (rule === refused) return refuse(nameOf(kind), field)
  return rule(value, operation)
}

/** Gives a body its fields as one kind of engine, at one provider, takes them. */
export class BodyAdapter {
  readonly kind: Kind
  readonly #providerRefuses: readonly string[]
  readonly #changer: MemberChanger

  constructor(kind: Kind, providerRefuses: readonly string[] = []) {
    this.kind = kind
    this.#providerRefuses = providerRefuses
    const fields =
      kind === 'tokenmill' ? [] : Object.keys(fieldRules).filter((field) => fieldRules[field]?.[kind] !== takes)
    this.#changer = new MemberChanger([...new Set([...fields, ...providerRefuses])])
  }

  /** Throws `unsupported` for a field that the engine would drop, or the provider refuse. */
  adapt(body: Buffer, operation: RelayOperation): Buffer {
    if (operation !== 'chat' && operation !== 'completion') return body
    return this.#changer.apply(body, (field, value) => {
      if (!this.#providerRefuses.includes(field)) return changeFor(field, value, this.kind, operation)
      return asksNothing(value) ? {} : refuse(nameOf('openai'), field)
    })
  }
}

function nameOf(kind: Kind): string {
  return kind === 'openai' ? 'The provider of this model' : kind
}

function asksNothing(value: unknown): boolean {
  return (
    value === null || value === false || value === 0 || value === '' || (Array.isArray(value) && value.length === 0)
  )
}

function vllmWords(word: 'json' | 'regex' | 'choice' | 'grammar'): FieldRule {
  return (value) => ({ structured_outputs: { [word]: value } })
}

function sglangSchema(schema: unknown, operation: RelayOperation): FieldChange | undefined {
  const text = typeof schema === 'string' ? schema : JSON.stringify(schema)
  return operation === 'completion' ? { json_schema: text } : responseFormat(schema)
}

/** Its completions take the field itself, as a text. */
function sglangJsonSchema(schema: unknown, operation: RelayOperation): FieldChange | undefined {
  return operation === 'completion' && typeof schema === 'string' ? undefined : sglangSchema(schema, operation)
}

function trtllmSchema(schema: unknown): FieldChange {
  return { response_format: { type: 'json', schema: parsed(schema) } }
}

function trtllmFormat(type: 'regex' | 'ebnf'): FieldRule {
  return (value) => ({ response_format: { type, [type]: value } })
}

function trtllmChoice(value: unknown): FieldChange {
  return { response_format: { type: 'regex', regex: toRegex(value) } }
}

function responseFormat(schema: unknown): FieldChange {
  return {
    response_format: { type: 'json_schema', json_schema: { name: 'schema', schema: parsed(schema), strict: true } },
  }
}

function asGrammar(grammar: unknown): FieldChange {
  return { grammar }
}

/** In llama.cpp's GBNF, one alternative for each text. A JSON string is a GBNF literal but for escapes of Unicode. */
function llamaChoice(value: unknown): FieldChange {
  const literals = textsOf(value).map((text) => JSON.stringify(text))
  return { grammar: `root ::= ${literals.join(' | ')}` }
}

/** vLLM's `structured_outputs`, word by word as the older `guided_*` of the same meaning. */
function structured(kind: Exclude<Kind, 'tokenmill' | 'vllm'>): FieldRule {
  return (value, operation) => {
    const words = Object.entries(Object(value) as Record<string, unknown>).filter(([, each]) => !asksNothing(each))
    const changes = words.map(([word, each]): FieldChange => {
      if (word === 'json_object') return { response_format: { type: 'json_object' } }
      const rule = fieldRules[`guided_${word}`]?.[kind] ?? refused
      return typeof rule === 'string'
        ? refuse(nameOf(kind), `structured_outputs.${word}`)
        : (rule(each, operation) ?? {})
    })
    return Object.assign({}, ...changes) as FieldChange
  }
}

/** `{"type":"allowed_tools"}` is OpenAI's own: elsewhere the same by leaving the other tools out. */
function allowedTools(value: unknown): FieldChange | undefined {
  const choice = Object(value) as { type?: unknown; allowed_tools?: AllowedTools; mode?: unknown; tools?: unknown }
  if (choice.type !== 'allowed_tools') return undefined
  const { mode = 'auto', tools = [] } = choice.allowed_tools ?? (choice as AllowedTools)
  const names = new Set(tools.map((tool) => tool.function?.name ?? tool.name))
  const keep = (given: unknown): unknown =>
    Array.isArray(given) ? (given as Tool[]).filter((tool) => names.has(tool.function?.name)) : given
  return { tool_choice: mode, tools: keep }
}

/** A named choice asks for one call; SGLang gives several unless told. */
function sglangToolChoice(value: unknown): FieldChange | undefined {
  return (Object(value) as { type?: unknown }).type === 'function'
    ? { tool_choice: value, parallel_tool_calls: false }
    : allowedTools(value)
}

interface AllowedTools {
  readonly mode?: string
  readonly tools?: readonly (Tool & { readonly name?: string })[]
}

interface Tool {
  readonly function?: { readonly name?: string }
}

/** A schema may come as a text. */
function parsed(schema: unknown): unknown {
  if (typeof schema !== 'string') return schema
  try {
    return JSON.parse(schema)
  } catch {
    return schema
  }
}

function textsOf(value: unknown): string[] {
  return Array.isArray(value) ? value.map(String) : [String(value)]
}

function toRegex(value: unknown): string {
  const escaped = textsOf(value).map((text) => text.replaceAll(/[\\^$.*+?()[\]{}|]/g, String.raw`\$&`))
  return `(${escaped.join('|')})`
}
