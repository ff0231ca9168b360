import { describe, expect, it } from 'vitest'
import { createRandom } from '../../src/core/index.ts'
import { ConstraintCompiler } from '../../src/engine/grammar/index.ts'
import type { ChatInput, JsonSchema, ToolDefinition } from '../../src/inference/index.ts'
import { writeCall } from '../../src/model/answer/call-writer.ts'
import { createChatFormat, createOutputParser, type ChatFormat } from '../../src/model/index.ts'
import { readGbnf } from '../support/gbnf.ts'
import { createJudge } from '../support/json-validator.ts'

/** What the templates of each family show, by which it is known. */
const families: Readonly<Record<string, string>> = {
  hermes: '<tool_call>',
  'qwen-tags': '<tool_call> <function=',
  'glm-tags': '<tool_call> <arg_key>',
  'seed-tags': '<seed:tool_call>',
  'minimax-tags': '<minimax:tool_call>',
  'minimax-elements': ']<]minimax[>[',
  'deepseek-tags': '｜DSML｜ function_calls>',
  'deepseek-v4-tags': '｜DSML｜ tool_calls>',
  'kimi-tags': '<|open|> <|close|>',
  mistral: '[TOOL_CALLS] [ARGS]',
  'mistral-list': '[TOOL_CALLS]',
  llama: '<|python_tag|>',
  harmony: '<|channel|> <|message|>',
  deepseek: '<｜tool▁call▁begin｜>',
  'deepseek-fenced': '<｜tool▁call▁begin｜> ```json',
  kimi: '<|tool_call_begin|>',
  solar: '<|tool_call:begin|>',
  'nemotron-list': '<TOOLCALL>',
  'apriel-list': '<tool_calls>',
  'phi-list': '<|tool_call|> <|/tool_call|>',
  'granite-list': '<|tool_call|>',
  'command-list': '<|START_ACTION|>',
  functionary: '>>>all',
  'functionary-tags': '<function= </function>',
  gemma: '<|tool_call>call:',
  'lfm-keywords': '<|tool_call_start|>',
  generic: 'nothing',
}

interface Feature {
  readonly schema: JsonSchema | undefined
  /** Arguments that must come through as they are. */
  readonly values: readonly object[]
}

const object = (properties: Record<string, JsonSchema>, more: Record<string, unknown> = {}): JsonSchema => ({
  type: 'object',
  properties,
  required: Object.keys(properties),
  additionalProperties: false,
  ...more,
})
const text = { type: 'string' }

/** What tools ask for, and what edit tools, shells and searches are given. */
const features: Readonly<Record<string, Feature>> = {
  'exact text': {
    schema: object({ s: text }),
    values: [
      '\n\tindented\n\n',
      '  two spaces',
      'a\r\nb\r\n',
      'if (a < b && c > d) { return "x\\n" }',
      '<b>bold</b>\n<br/>',
      "it's 'quoted', \"twice\", key=1)",
      '12',
      'true',
      'null',
      '{"json": [1]}',
      '"in quotes"',
      '日本語 🙂 ½',
      '',
      '\\d+\\s*$',
    ].map((s) => ({ s })),
  },
  'two texts': { schema: object({ old: text, new: text }), values: [{ old: '\n  a\n', new: '\n    a\n' }] },
  'enum and const': {
    schema: object({ unit: { ...text, enum: ['celsius', 'kelvin'] }, kind: { const: 'air' } }),
    values: [{ unit: 'kelvin', kind: 'air' }],
  },
  'enum of several types': {
    schema: object({ v: { enum: ['a', 1, null, true] } }),
    values: [{ v: 'a' }, { v: 1 }, { v: null }],
  },
  numbers: {
    schema: object({
      n: { type: 'integer', minimum: 1, maximum: 99 },
      x: { type: 'number' },
      yes: { type: 'boolean' },
    }),
    values: [{ n: 7, x: -1.5, yes: true }],
  },
  'nullable text': { schema: object({ s: { type: ['string', 'null'] } }), values: [{ s: 'a b' }, { s: null }] },
  'text or number': {
    schema: object({ v: { anyOf: [text, { type: 'integer' }] } }),
    values: [{ v: 'seven' }, { v: 7 }],
  },
  nested: {
    schema: object({
      where: object({ city: text, lines: { type: 'array', items: text } }),
      list: { type: 'array', items: object({ n: { type: 'integer' } }) },
    }),
    values: [{ where: { city: '12', lines: ['\n a', 'b'] }, list: [{ n: 1 }, { n: 2 }] }],
  },
  'optional arguments': {
    schema: object({ a: text, b: text, c: { type: 'integer' } }, { required: ['b'] }),
    values: [{ b: 'x' }, { a: 'x', b: 'y' }, { b: 'y', c: 1 }],
  },
  'a reference at the root': {
    schema: { $ref: '#/$defs/A', $defs: { A: object({ n: { type: 'integer', minimum: 1, maximum: 2 } }) } },
    values: [{ n: 2 }],
  },
  'references inside': {
    schema: object({ s: { $ref: '#/$defs/S' } }, { $defs: { S: { ...text, description: 'd' } } }),
    values: [{ s: '42' }],
  },
  allOf: {
    schema: {
      allOf: [
        object({ s: text }, { additionalProperties: true }),
        { properties: { n: { type: 'integer' } }, required: ['n'] },
      ],
    },
    values: [{ s: '1', n: 2 }],
  },
  'a map of numbers': {
    schema: { type: 'object', additionalProperties: { type: 'integer' } },
    values: [{ a: 1, b: 2 }],
  },
  'any arguments': { schema: { type: 'object' }, values: [{ city: 'Oslo', days: 3 }] },
  'no parameters': { schema: undefined, values: [{}] },
  'a pattern': { schema: object({ s: { ...text, pattern: '^[a-z]{2,4}-\\d+$' } }), values: [{ s: 'ab-12' }] },
  'a format and lengths': {
    schema: object({ day: { ...text, format: 'date' }, s: { ...text, minLength: 1, maxLength: 5 } }),
    values: [{ day: '2026-02-28', s: '\n<a>\n' }],
  },
  'a long text': { schema: object({ s: { ...text, maxLength: 20_000 } }), values: [{ s: `a <b> ${'x'.repeat(300)}` }] },
}

const compiler = new ConstraintCompiler(1024 * 1024)
const formats = new Map<string, ChatFormat>()

/** Made once for each family: finding out what a template expects takes a while. */
function formatOf(shows: string): ChatFormat {
  const known = formats.get(shows)
  if (known !== undefined) return known
  const chatTemplate = `{% for m in messages %}{{ m.content }}{% endfor %}{% if false %}${shows}{% endif %}{% if add_generation_prompt %}<|start|>assistant{% endif %}`
  const format = createChatFormat({ chatTemplate, bosToken: undefined, eosToken: undefined })
  formats.set(shows, format)
  return format
}

function prepare(shows: string, schema: JsonSchema | undefined) {
  const tool: ToolDefinition = { name: 'call_it', description: undefined, strict: true, parameters: schema }
  const chat: ChatInput = {
    messages: [{ role: 'user', content: 'Hi' }],
    tools: [tool],
    toolChoice: { kind: 'required' },
    parallelToolCalls: false,
    reasoningEffort: undefined,
    templateVariables: {},
    continueFinalMessage: false,
  }
  const form = formatOf(shows).render(chat)
  const compiled = compiler.compile({ constraint: undefined, chat, answer: form.answer })
  if (compiled === undefined) throw new Error('no grammar')
  const read = (answer: string) => {
    const parser = createOutputParser(chat, form)
    const calls: { name: string; arguments: string }[] = []
    let said = ''
    for (const piece of [...parser.push(answer), ...parser.end()]) {
      if (piece.type === 'text') said += piece.text
      if (piece.type !== 'toolCall') continue
      if (piece.id !== undefined) calls.push({ name: piece.name ?? '', arguments: '' })
      const call = calls.at(-1)
      if (call !== undefined) call.arguments += piece.arguments
    }
    expect(
      calls.map(({ name }) => name),
      answer,
    ).toEqual(['call_it'])
    expect(said.trim(), answer).toBe('')
    return JSON.parse(calls[0]?.arguments ?? '') as unknown
  }
  return { grammar: readGbnf(compiled.gbnf), syntax: form.answer.convention.syntax, read }
}

describe('tool calls of every family', () => {
  for (const [family, shows] of Object.entries(families)) {
    describe(family, () => {
      for (const [feature, { schema, values }] of Object.entries(features)) {
        it(`writes and reads ${feature}`, () => {
          const { grammar, syntax, read } = prepare(shows, schema)
          for (const value of values) {
            const answer = syntax.open + writeCall(syntax, 'call_it', JSON.stringify(value)) + syntax.close
            expect(read(answer), answer).toEqual(value)
            expect(grammar.matches(answer), answer).toBe(true)
          }
          const random = createRandom(3)
          const faultOf = createJudge(schema ?? { type: 'object', maxProperties: 0 })
          for (let count = 0; count < 3; count += 1) {
            const answer = grammar.sample(random, 40)
            const value = read(answer)
            expect(faultOf(value), `${answer}\n${JSON.stringify(value)}`).toBeUndefined()
          }
        })
      }
    })
  }

  it('knows each family by its template', () => {
    for (const [family, shows] of Object.entries(families)) expect(formatOf(shows).convention).toBe(family)
  })
})
