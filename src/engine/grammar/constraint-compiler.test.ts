import { describe, expect, it } from 'vitest'
import { readGbnf } from '../../../tests/support/gbnf.ts'
import { createRandom } from '../../core/index.ts'
import type { ChatInput, JsonSchema, OutputConstraint, ToolDefinition } from '../../inference/index.ts'
import { createChatFormat, createOutputParser } from '../../model/index.ts'
import { ConstraintCompiler } from './constraint-compiler.ts'

const compiler = new ConstraintCompiler(1024 * 1024)

function grammarOf(schema: JsonSchema) {
  const compiled = compiler.compile({ constraint: asked(schema), chat: undefined, answer: undefined })
  if (compiled === undefined) throw new Error('no grammar')
  return readGbnf(compiled.gbnf)
}

const asked = (schema: JsonSchema): OutputConstraint => ({ kind: 'jsonSchema', name: 'test', schema, strict: true })

/** Which of the texts the schema's grammar takes. */
function taken(schema: JsonSchema, texts: readonly string[]): readonly string[] {
  const grammar = grammarOf(schema)
  return texts.filter((text) => grammar.matches(text))
}

describe('a grammar of a schema', () => {
  it('takes integers within bounds, and no others', () => {
    const all = Array.from({ length: 400 }, (_, at) => String(at - 200))
    const within = (from: number, to: number) => all.filter((text) => Number(text) >= from && Number(text) <= to)
    expect(taken({ type: 'integer', minimum: -37, maximum: 128 }, all)).toEqual(within(-37, 128))
    expect(taken({ type: 'integer', exclusiveMinimum: 9, maximum: 100 }, all)).toEqual(within(10, 100))
    expect(taken({ type: 'integer', maximum: -100 }, all)).toEqual(within(-200, -100))
    expect(taken({ type: 'integer', multipleOf: 7, minimum: 0, maximum: 50 }, all)).toEqual(
      all.filter((text) => Number(text) % 7 === 0 && Number(text) >= 0 && Number(text) <= 50),
    )
  })

  it('takes decimal numbers within bounds', () => {
    const texts = ['0.1', '0.25', '0.3', '0.30', '0.31', '1', '-0.2', '0.09', '0', '0.3000001']
    expect(taken({ type: 'number', minimum: 0.1, maximum: 0.3 }, texts)).toEqual(['0.1', '0.25', '0.3', '0.30'])
    expect(taken({ type: 'number', exclusiveMinimum: 0.1, exclusiveMaximum: 0.3 }, texts)).toEqual(['0.25'])
    expect(taken({ type: 'number', multipleOf: 0.25, minimum: 0, maximum: 1 }, texts)).toEqual(['0.25', '1', '0'])
  })

  it('searches patterns unless they are anchored, together with lengths', () => {
    const texts = ['"ab"', '"xaby"', '"b"', '"aab"', '""']
    expect(taken({ type: 'string', pattern: 'ab' }, texts)).toEqual(['"ab"', '"xaby"', '"aab"'])
    expect(taken({ type: 'string', pattern: '^a*b$' }, texts)).toEqual(['"ab"', '"b"', '"aab"'])
    expect(taken({ type: 'string', pattern: 'ab', maxLength: 3 }, texts)).toEqual(['"ab"', '"aab"'])
    expect(taken({ type: 'string', pattern: '^"\\\\?$' }, ['"\\""', '"\\"\\\\"', '"a"'])).toEqual([
      '"\\""',
      '"\\"\\\\"',
    ])
  })

  it('knows the days of months, and of leap years', () => {
    const texts = ['"2024-02-29"', '"2023-02-29"', '"1900-02-29"', '"2000-02-29"', '"2023-04-31"', '"2023-12-31"']
    expect(taken({ type: 'string', format: 'date' }, texts)).toEqual(['"2024-02-29"', '"2000-02-29"', '"2023-12-31"'])
  })

  it('lets optional properties go, required ones not, and unnamed ones only where asked for', () => {
    const properties = { a: { type: 'integer' }, b: { type: 'boolean' } }
    const texts = ['{"a": 1, "b": true}', '{"a": 1}', '{"b": true}', '{}', '{"a": 1, "c": 2}', '{"a": 1, "a": 2}']
    expect(taken({ type: 'object', properties, required: ['a'], additionalProperties: false }, texts)).toEqual([
      '{"a": 1, "b": true}',
      '{"a": 1}',
    ])
    expect(
      taken({ type: 'object', properties, required: ['a'], additionalProperties: { type: 'integer' } }, texts),
    ).toEqual(['{"a": 1, "b": true}', '{"a": 1}', '{"a": 1, "c": 2}'])
  })

  it('counts far beyond what libllama repeats', () => {
    const grammar = grammarOf({ type: 'string', minLength: 2990, maxLength: 3010 })
    for (const [length, fits] of [
      [2989, false],
      [2990, true],
      [3010, true],
      [3011, false],
    ] as const) {
      expect(grammar.matches(`"${'x'.repeat(length)}"`), String(length)).toBe(fits)
    }
    const compiled = compiler.compile({
      constraint: asked({ type: 'array', items: { type: 'null' }, maxItems: 100_000 }),
      chat: undefined,
      answer: undefined,
    })
    expect(compiled?.gbnf).not.toMatch(/[{}]\d|[()]/)
    expect(compiled?.gbnf.split('\n').length).toBeLessThan(400)
  })

  it('counts in patterns and formats by rules, not by states', () => {
    const linesOf = (schema: JsonSchema) =>
      compiler.compile({ constraint: asked(schema), chat: undefined, answer: undefined })?.gbnf.split('\n').length
    const email = { type: 'string', format: 'email', maxLength: 254 }
    expect(taken(email, ['"ada.lovelace@example.org"', '"ada@"', `"${'a'.repeat(260)}@example.org"`])).toEqual([
      '"ada.lovelace@example.org"',
    ])
    const uri = { type: 'string', format: 'uri', maxLength: 2048 }
    expect(taken(uri, ['"https://example.org/a/b-c?d=e#f"', '"https:"'])).toEqual(['"https://example.org/a/b-c?d=e#f"'])
    const words = { type: 'string', pattern: '^\\S{0,4000}$' }
    expect(taken(words, [`"${'x'.repeat(4000)}"`, `"${'x'.repeat(4001)}"`, '"a b"'])).toHaveLength(1)
    expect(taken({ type: 'string', pattern: '\\S{0,4000}' }, ['"a b"', '""'])).toHaveLength(2)
    expect(taken({ type: 'string', pattern: '^[a-z]+$', minLength: 2000, maxLength: 9000 }, ['"ab"'])).toEqual([])
    for (const schema of [email, uri, words, { type: 'string', pattern: '^\\d{3}-[a-f]{5,90000}$' }]) {
      expect(linesOf(schema), JSON.stringify(schema)).toBeLessThan(400)
    }
  })

  it('leaves out upper bounds that no answer can reach', () => {
    const schema = { type: 'array', items: { type: 'string', maxLength: 1e9 }, maxItems: 2_147_483_647 }
    expect(taken(schema, ['["a"]', '[1]'])).toEqual(['["a"]'])
  })

  it('joins schemas that hold together, and takes oneOf where its schemas exclude each other', () => {
    const joined = {
      allOf: [
        { type: 'integer', minimum: 3 },
        { type: 'number', maximum: 5 },
      ],
    }
    expect(taken(joined, ['2', '3', '5', '6', '4.5'])).toEqual(['3', '5'])
    const kinds = {
      oneOf: [
        { type: 'object', properties: { kind: { const: 'a' } }, required: ['kind'], additionalProperties: false },
        { type: 'object', properties: { kind: { const: 'b' } }, required: ['kind'], additionalProperties: false },
      ],
    }
    expect(taken(kinds, ['{"kind": "a"}', '{"kind": "b"}', '{"kind": "c"}'])).toHaveLength(2)
    // As Rust's enums are written: the variant is the one property.
    const variant = (name: string) => ({
      type: 'object',
      properties: { [name]: { type: 'null' } },
      required: [name],
      additionalProperties: false,
    })
    const variants = { oneOf: [variant('A'), variant('B')] }
    expect(taken(variants, ['{"A": null}', '{"B": null}', '{"A": null, "B": null}'])).toHaveLength(2)
  })

  it('closes with unevaluatedProperties what the schemas that hold together leave open, and nothing they name', () => {
    const schema = {
      allOf: [{ type: 'object', properties: { a: { type: 'null' } }, required: ['a'] }],
      anyOf: [
        { properties: { b: { type: 'null' } }, required: ['b'] },
        { properties: { d: { type: 'boolean' } }, required: ['d'] },
      ],
      properties: { c: { type: 'null' } },
      unevaluatedProperties: false,
    }
    const texts = ['{"c": null, "a": null, "b": null}', '{"c": null, "a": null, "d": true}', '{"a": null, "d": null}']
    expect(taken(schema, texts)).toEqual(texts.slice(0, 2))
    expect(taken({ type: 'object', unevaluatedProperties: false }, ['{}', '{"a": 1}'])).toEqual(['{}'])
  })
})

describe('schemas that hurt', () => {
  const refusal = (schema: unknown) => {
    try {
      grammarOf(schema as JsonSchema)
      return undefined
    } catch (error) {
      return error
    }
  }

  it('are refused where nothing can satisfy them, or they are nothing but themselves', () => {
    expect(refusal({ $ref: '#' })).toMatchObject({ code: 'invalid_request' })
    expect(
      refusal({ $defs: { a: { anyOf: [{ $ref: '#/$defs/a' }, { type: 'null' }] } }, $ref: '#/$defs/a' }),
    ).toMatchObject({ code: 'invalid_request' })
    expect(refusal({ type: 'object', properties: { next: { $ref: '#' } }, required: ['next'] })).toMatchObject({
      code: 'invalid_request',
    })
    expect(refusal({ type: 'string', minLength: 5, maxLength: 2 })).toMatchObject({ code: 'invalid_request' })
    expect(refusal({ $ref: '#/$defs/absent' })).toMatchObject({ code: 'invalid_request' })
    expect(refusal({ type: 'text' })).toMatchObject({ code: 'invalid_request' })
  })

  it('are refused with the limit they pass', () => {
    let deep: JsonSchema = { type: 'null' }
    for (let level = 0; level < 200; level += 1) deep = { type: 'array', items: deep }
    expect(refusal(deep)).toMatchObject({ code: 'limit_exceeded', details: { limit: 'maxSchemaDepth' } })
    const many = Object.fromEntries(Array.from({ length: 20_000 }, (_, at) => [`p${at}`, { type: 'null' }]))
    expect(refusal({ type: 'object', properties: many })).toMatchObject({ code: 'limit_exceeded' })
    expect(refusal({ type: 'string', pattern: '(a|b)*a(a|b){16}' })).toMatchObject({
      details: { limit: 'maxAutomatonStates' },
    })
    expect(refusal({ type: 'string', minLength: 1e9 })).toMatchObject({ details: { limit: 'maxRepetitions' } })
    expect(refusal({ enum: Array.from({ length: 20_000 }, (_, at) => at) })).toMatchObject({
      details: { limit: 'maxSchemaChoices' },
    })
  })

  it('are refused with the path of the keyword that no grammar follows', () => {
    const path = 'response_format.json_schema.schema'
    for (const [schema, param] of [
      [{ not: {} }, `${path}.not`],
      [
        { type: 'object', properties: { 'a b': { type: 'string', pattern: '(?=x)' } } },
        `${path}.properties["a b"].pattern`,
      ],
      [{ type: 'array', items: { type: 'string', format: 'regex' } }, `${path}.items.format`],
      [{ anyOf: [{ type: 'null' }, { type: 'array', uniqueItems: true }] }, `${path}.anyOf[1].uniqueItems`],
      [{ oneOf: [{ type: 'string' }, { type: 'string', maxLength: 3 }] }, `${path}.oneOf`],
    ] as const) {
      expect(refusal(schema)).toMatchObject({ code: 'unsupported', details: { param } })
    }
  })
})

const tools: readonly ToolDefinition[] = [
  {
    name: 'weather',
    description: undefined,
    strict: true,
    parameters: {
      type: 'object',
      properties: { city: { type: 'string', maxLength: 8 }, days: { type: 'integer', minimum: 1, maximum: 9 } },
      required: ['city', 'days'],
      additionalProperties: false,
    },
  },
  { name: 'clock', description: undefined, strict: false, parameters: undefined },
]

function chatWith(changes: Partial<ChatInput>): ChatInput {
  return {
    messages: [{ role: 'user', content: 'Hi' }],
    tools,
    toolChoice: { kind: 'required' },
    parallelToolCalls: true,
    reasoningEffort: undefined,
    templateVariables: {},
    continueFinalMessage: false,
    ...changes,
  }
}

/** Templates that show the marks of each family. */
const families: Readonly<Record<string, string>> = {
  hermes: '<tool_call>',
  'hermes with thinking': '<tool_call> <think>',
  'qwen tags': '<tool_call> <function=',
  glm: '<tool_call> <arg_key>',
  mistral: '[TOOL_CALLS] [ARGS]',
  'mistral list': '[TOOL_CALLS]',
  llama: '<|python_tag|>',
  harmony: '<|channel|> <|message|>',
  deepseek: '<｜tool▁call▁begin｜>',
  'deepseek fenced': '<｜tool▁call▁begin｜> ```json',
  kimi: '<|tool_call_begin|>',
  generic: 'nothing',
}

function rendered(shows: string, chat: ChatInput) {
  const chatTemplate = `{% for m in messages %}{{ m.content }}{% endfor %}{% if false %}${shows}{% endif %}{% if add_generation_prompt %}<|start|>assistant{% endif %}`
  return createChatFormat({ chatTemplate, bosToken: undefined, eosToken: undefined }).render(chat)
}

describe('a grammar of tool calls', () => {
  for (const [family, shows] of Object.entries(families)) {
    it(`writes what the parser of ${family} reads: every call a tool’s, every argument its schema’s`, () => {
      const random = createRandom(1)
      for (const toolChoice of [{ kind: 'required' }, { kind: 'named', name: 'weather' }, { kind: 'auto' }] as const) {
        const chat = chatWith({ toolChoice })
        const form = rendered(shows, chat)
        const compiled = compiler.compile({ constraint: undefined, chat, answer: form.answer })
        if (compiled === undefined) throw new Error('no grammar')
        expect(compiled.trigger === undefined).toBe(toolChoice.kind !== 'auto')
        const grammar = readGbnf(compiled.gbnf)
        for (let count = 0; count < 12; count += 1) {
          const text = (compiled.trigger?.text ?? '') + grammar.sample(random, 60)
          const parser = createOutputParser(chat, form)
          const pieces = [...parser.push(text), ...parser.end()]
          const calls = new Map<number, { name: string; arguments: string }>()
          for (const piece of pieces) {
            if (piece.type !== 'toolCall') continue
            const call = calls.get(piece.call) ?? { name: piece.name ?? '', arguments: '' }
            calls.set(piece.call, { ...call, arguments: call.arguments + piece.arguments })
          }
          expect(calls.size, text).toBeGreaterThan(0)
          expect(
            pieces
              .filter((piece) => piece.type === 'text')
              .map((piece) => piece.text)
              .join('')
              .trim(),
            text,
          ).toBe('')
          for (const { name, arguments: args } of calls.values()) {
            expect(toolChoice.kind === 'named' ? ['weather'] : ['weather', 'clock'], text).toContain(name)
            const value = JSON.parse(args) as Record<string, unknown>
            if (name !== 'weather') continue
            expect(Object.keys(value), text).toEqual(['city', 'days'])
            expect(value['days'], text).toBeGreaterThanOrEqual(1)
          }
        }
      }
    })
  }

  it('allows one call where parallel ones are not wanted', () => {
    const chat = chatWith({ parallelToolCalls: false })
    const compiled = compiler.compile({ constraint: undefined, chat, answer: rendered('<tool_call>', chat).answer })
    const random = createRandom(2)
    for (let count = 0; count < 20; count += 1) {
      expect(
        readGbnf(compiled?.gbnf ?? '')
          .sample(random)
          .split('<tool_call>'),
      ).toHaveLength(2)
    }
  })

  it('lets thinking come first, opened by the prompt or not', () => {
    const chat = chatWith({})
    const compiled = compiler.compile({
      constraint: undefined,
      chat,
      answer: rendered('<tool_call> <think>', chat).answer,
    })
    const grammar = readGbnf(compiled?.gbnf ?? '')
    const call = '<tool_call>\n{"name": "clock", "arguments": {}}\n</tool_call>'
    expect(grammar.matches(call)).toBe(true)
    expect(grammar.matches(`<think>\nWhat < time?</thin\n</think>\n\n${call}`)).toBe(true)
    expect(grammar.matches(`Words. ${call}`)).toBe(false)
  })

  it('demands a tool that is there, and falls back to any object for a schema that is not strict', () => {
    const chat = chatWith({ toolChoice: { kind: 'named', name: 'absent' } })
    expect(() =>
      compiler.compile({ constraint: undefined, chat, answer: rendered('<tool_call>', chat).answer }),
    ).toThrow(/absent/)
    const loose = chatWith({
      tools: [{ name: 'f', description: undefined, strict: false, parameters: { type: 'object', not: {} } }],
    })
    expect(
      compiler.compile({ constraint: undefined, chat: loose, answer: rendered('<tool_call>', loose).answer }),
    ).toBeDefined()
    const strict = chatWith({
      tools: [{ name: 'f', description: undefined, strict: true, parameters: { type: 'object', not: {} } }],
    })
    expect(() =>
      compiler.compile({ constraint: undefined, chat: strict, answer: rendered('<tool_call>', strict).answer }),
    ).toThrow(expect.objectContaining({ code: 'unsupported', details: { param: 'tools[0].function.parameters.not' } }))
  })
})

describe('a schema that no grammar can hold', () => {
  const odd = {
    type: 'object',
    properties: {
      tags: { type: 'array', items: { type: 'string' }, uniqueItems: true },
      n: { type: 'integer', minimum: 1, maximum: 3, not: { const: 2 } },
      url: { type: 'string', format: 'uri-template', pattern: '^(?!http:)' },
    },
    required: ['tags', 'n', 'url'],
  }
  const compileFor = (shows: string, strict: boolean, parameters: JsonSchema) => {
    const chat = chatWith({ tools: [{ name: 'f', description: undefined, strict, parameters }] })
    return compiler.compile({ constraint: undefined, chat, answer: rendered(shows, chat).answer })
  }

  for (const shows of ['<tool_call>', '<tool_call> <function=', '<|tool_call>call:', '<|tool_call_start|>']) {
    it(`holds the rest of it, and tells what is left out, where the tool is not strict: ${shows}`, () => {
      const compiled = compileFor(shows, false, odd)
      expect([...(compiled?.unenforced ?? [])].sort()).toEqual(['f format', 'f not', 'f pattern', 'f uniqueItems'])
      const grammar = readGbnf(compiled?.gbnf ?? '')
      const random = createRandom(4)
      for (let count = 0; count < 5; count += 1) expect(grammar.sample(random)).toMatch(/n(?:"|>|:|=)?[\s:]*[123]/)
    })
  }

  it('is refused by the tool’s name and the keyword’s path where the tool is strict', () => {
    expect(() => compileFor('<tool_call> <function=', true, odd)).toThrow(
      expect.objectContaining({
        code: 'unsupported',
        message: expect.stringContaining("Tool 'f'"),
        details: { param: 'tools[0].function.parameters.properties.tags.uniqueItems' },
      }),
    )
  })

  it('takes any arguments where the schema is none, or all together are too large', () => {
    const nonsense = { type: 'object', properties: { a: { type: 'anything' } } }
    expect(compileFor('<tool_call>', false, nonsense)?.unenforced).toEqual(['f schema'])
    const many = Array.from({ length: 3000 }, (_, at) => [`property_number_${at}`, { type: 'string', minLength: at }])
    const large = { type: 'object', properties: Object.fromEntries(many) as Record<string, JsonSchema> }
    const small = new ConstraintCompiler(20_000)
    const chat = chatWith({ tools: [{ name: 'f', description: undefined, strict: false, parameters: large }] })
    const compiled = small.compile({ constraint: undefined, chat, answer: rendered('<tool_call>', chat).answer })
    expect(compiled?.unenforced).toEqual(['f schema'])
  })
})

describe('ConstraintCompiler', () => {
  it('compiles equal demands once', () => {
    const demand = { constraint: asked({ type: 'string', format: 'ipv6' }), chat: undefined, answer: undefined }
    const small = new ConstraintCompiler(1024 * 1024, 2)
    const first = small.compile(demand)
    expect(small.compile(structuredClone(demand))).toBe(first)
    for (const name of ['a', 'b']) small.compile({ ...demand, constraint: asked({ const: name }) })
    expect(small.compile(demand)).not.toBe(first)
  })
})
