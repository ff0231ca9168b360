import { describe, expect, it } from 'vitest'
import type { RelayOperation } from '../inference/index.ts'
import { BodyAdapter, fieldRules } from './request-fields.ts'

type Kind = ConstructorParameters<typeof BodyAdapter>[0]
const engines = ['vllm', 'sglang', 'trtllm', 'llama-server', 'openai'] as const

const adapt = (kind: Kind, fields: object, operation: RelayOperation = 'chat', refuses: readonly string[] = []) => {
  const body = Buffer.from(
    JSON.stringify({ model: 'm', ...fields, messages: [{ role: 'user', content: 'a "min_tokens"' }] }),
  )
  const { model, messages, ...rest } = JSON.parse(
    new BodyAdapter(kind, refuses).adapt(body, operation).toString(),
  ) as Record<string, unknown>
  expect({ model, messages }).toEqual({ model: 'm', messages: [{ role: 'user', content: 'a "min_tokens"' }] })
  return rest
}

const schema = { type: 'object', properties: { a: { type: 'integer' } } }
const format = { response_format: { type: 'json_schema', json_schema: { name: 'schema', schema, strict: true } } }
const trtllmFormat = (type: string, value: unknown) => ({
  response_format: { type, [type === 'json' ? 'schema' : type]: value },
})
const choice = ['a.b', 'c"d']
const choiceRegex = String.raw`(a\.b|c"d)`
const tools = ['f', 'g'].map((name) => ({ type: 'function', function: { name } }))
const allowed = {
  type: 'allowed_tools',
  allowed_tools: { mode: 'required', tools: [{ type: 'function', function: { name: 'g' } }] },
}
const allowedSent = { tools: [tools[1]], tool_choice: 'required' }
const gbnf = 'root ::= "a"'

/** What arrives at [vLLM, SGLang, trtllm-serve, llama-server, a provider] of a request with these fields; `no`: it is refused. */
const no = 'no'
const same = 'same'
type Cell = object | typeof no | typeof same
const cells: readonly (readonly [string, object, readonly [Cell, Cell, Cell, Cell, Cell]])[] = [
  [
    'guided_json',
    { guided_json: schema },
    [{ structured_outputs: { json: schema } }, format, trtllmFormat('json', schema), format, format],
  ],
  [
    'guided_json',
    { guided_json: JSON.stringify(schema) },
    [{ structured_outputs: { json: JSON.stringify(schema) } }, format, trtllmFormat('json', schema), format, format],
  ],
  [
    'guided_regex',
    { guided_regex: 'a+' },
    [{ structured_outputs: { regex: 'a+' } }, { regex: 'a+' }, trtllmFormat('regex', 'a+'), no, no],
  ],
  [
    'guided_choice',
    { guided_choice: choice },
    [
      { structured_outputs: { choice } },
      { regex: choiceRegex },
      trtllmFormat('regex', choiceRegex),
      { grammar: String.raw`root ::= "a.b" | "c\"d"` },
      no,
    ],
  ],
  [
    'guided_grammar',
    { guided_grammar: gbnf },
    [{ structured_outputs: { grammar: gbnf } }, { ebnf: gbnf }, trtllmFormat('ebnf', gbnf), { grammar: gbnf }, no],
  ],
  [
    'grammar',
    { grammar: gbnf },
    [{ structured_outputs: { grammar: gbnf } }, { ebnf: gbnf }, trtllmFormat('ebnf', gbnf), same, no],
  ],
  [
    'json_schema',
    { json_schema: schema },
    [{ structured_outputs: { json: schema } }, format, trtllmFormat('json', schema), same, format],
  ],
  [
    'structured_outputs',
    { structured_outputs: { regex: 'a+' } },
    [same, { regex: 'a+' }, trtllmFormat('regex', 'a+'), no, no],
  ],
  [
    'structured_outputs',
    { structured_outputs: { json: schema } },
    [same, format, trtllmFormat('json', schema), format, format],
  ],
  ['structured_outputs', { structured_outputs: { structural_tag: 'x' } }, [same, no, no, no, no]],
  ['regex', { regex: 'a+' }, [{ structured_outputs: { regex: 'a+' } }, same, trtllmFormat('regex', 'a+'), no, no]],
  ['ebnf', { ebnf: gbnf }, [{ structured_outputs: { grammar: gbnf } }, same, trtllmFormat('ebnf', gbnf), no, no]],
  ['tool_choice', { tools, tool_choice: allowed }, [allowedSent, allowedSent, allowedSent, allowedSent, same]],
  [
    'tool_choice',
    { tools, tool_choice: tools[0] },
    [same, { tools, tool_choice: tools[0], parallel_tool_calls: false }, same, same, same],
  ],
  ['prompt_logprobs', { prompt_logprobs: 1 }, [same, no, no, no, no]],
  ['include_stop_str_in_output', { include_stop_str_in_output: true }, [same, { no_stop_trim: true }, same, no, no]],
  ['min_tokens', { min_tokens: 2 }, [same, same, same, no, no]],
  ['stop_token_ids', { stop_token_ids: [2] }, [same, same, same, no, no]],
  ['ignore_eos', { ignore_eos: true }, [same, same, same, same, same]],
  ['bad_words', { bad_words: ['x'] }, [same, no, no, no, no]],
  ['allowed_token_ids', { allowed_token_ids: [1] }, [same, no, no, no, no]],
  ['truncate_prompt_tokens', { truncate_prompt_tokens: 8 }, [same, no, same, no, no]],
  ['return_token_ids', { return_token_ids: true }, [same, same, no, no, no]],
  ['continue_final_message', { continue_final_message: true }, [same, same, no, {}, no]],
  ['add_generation_prompt', { add_generation_prompt: true }, [same, {}, same, {}, no]],
  ['chat_template_kwargs', { chat_template_kwargs: { a: 1 } }, [same, same, same, same, no]],
]

describe('fields × engines', () => {
  it('have a cell each', () => {
    expect(new Set(cells.map(([field]) => field))).toEqual(new Set(Object.keys(fieldRules)))
  })

  for (const [field, fields, row] of cells) {
    engines.forEach((engine, at) => {
      const cell = row[at]
      const what = cell === no ? 'refused' : cell === same ? 'passed on' : 'translated'
      it(`${JSON.stringify(fields).slice(0, 60)} is ${what} towards ${engine}`, () => {
        if (cell === no) {
          expect(() => adapt(engine, fields)).toThrow(
            expect.objectContaining({
              code: 'unsupported',
              details: { param: expect.stringContaining(field) as string },
            }) as Error,
          )
        } else expect(adapt(engine, fields)).toEqual(cell === same ? fields : cell)
      })
    })
  }

  it('leave the bytes alone where nothing is to change, for whatever value', () => {
    const body = Buffer.from('{ "model" : "m", "seed": 12345678901234567890, "prompt": "x" }')
    for (const engine of engines) expect(new BodyAdapter(engine).adapt(body, 'completion')).toBe(body)
    const embedding = Buffer.from('{"input":"x","min_tokens":1}')
    expect(new BodyAdapter('openai').adapt(embedding, 'embedding')).toBe(embedding)
    expect(adapt('tokenmill', { guided_json: schema, prompt_logprobs: 1 })).toEqual({
      guided_json: schema,
      prompt_logprobs: 1,
    })
  })

  it('are taken out where they ask for nothing, wherever they stand', () => {
    expect(adapt('openai', { min_tokens: 0, prompt_logprobs: null, bad_words: [], ignore_eos: false })).toEqual({
      ignore_eos: false,
    })
    const last = Buffer.from('{"prompt":"x","min_tokens":0,"bad_words":[]}')
    expect(new BodyAdapter('openai').adapt(last, 'completion').toString()).toBe('{"prompt":"x"}')
  })

  it("keep a schema in SGLang's own form on its completions", () => {
    const text = JSON.stringify(schema)
    expect(adapt('sglang', { guided_json: schema }, 'completion')).toEqual({ json_schema: text })
    expect(adapt('sglang', { json_schema: text }, 'completion')).toEqual({ json_schema: text })
  })

  it("are refused by name where the provider's documentation says that it does not take them", () => {
    expect(() => adapt('openai', { logit_bias: { 1: 2 } }, 'chat', ['logit_bias'])).toThrow(/'logit_bias'/)
  })
})
