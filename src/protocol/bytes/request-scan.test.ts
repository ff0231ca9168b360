import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { rewriteRequest, scanRequest } from './request-scan.ts'

const body = (value: unknown): Buffer => Buffer.from(JSON.stringify(value))

describe('rewriteRequest', () => {
  it('changes model and stream_options alone, whatever else the body holds', () => {
    const extras = fc.dictionary(
      fc.string().filter((key) => !['model', 'stream', 'stream_options', 'n', 'user', '__proto__'].includes(key)),
      fc.jsonValue(),
    )
    const known = fc.record(
      {
        model: fc.string(),
        stream: fc.boolean(),
        stream_options: fc.oneof(
          fc.constant(null),
          fc.constant({}),
          fc.record({ include_usage: fc.boolean(), other: fc.integer() }, { requiredKeys: [] }),
        ),
      },
      { requiredKeys: [] },
    )
    fc.assert(
      fc.property(extras, known, fc.string(), fc.boolean(), (more, fields, name, first) => {
        const original = first ? { ...fields, ...more } : { ...more, ...fields }
        const scan = scanRequest(body(original))
        const expected: Record<string, unknown> = { ...original, model: name }
        if (fields.stream === true) expected['stream_options'] = { ...fields.stream_options, include_usage: true }
        expect(JSON.parse(rewriteRequest(scan, name).toString())).toEqual(JSON.parse(JSON.stringify(expected)))
        expect(scan.model).toBe(fields.model)
        expect(scan.stream).toBe(fields.stream ?? false)
        const asked: { include_usage?: boolean } | null | undefined = fields.stream_options
        expect(scan.includeUsage).toBe(asked?.include_usage ?? false)
      }),
    )
  })

  it('fills an empty object', () => {
    expect(rewriteRequest(scanRequest(Buffer.from(' { } ')), 'm').toString()).toBe(' {"model":"m" } ')
  })
})

describe('scanRequest', () => {
  it.each([
    ['{"priority":-3}', '{"model":"m"}'],
    ['{"priority":-3 , "model":"a"}', '{ "model":"m"}'],
    [`{"model":"a" , "prior\\u0069ty": -3 }`, `{"model":"m" }`],
    ['{"a":1,"priority":-3,"model":"a"}', '{"a":1,"model":"m"}'],
  ])('takes the priority out of %s', (text, expected) => {
    const scan = scanRequest(Buffer.from(text))
    expect(scan.priority).toBe(-3)
    expect(rewriteRequest(scan, 'm').toString()).toBe(expected)
  })

  it('reads the fields that routing needs', () => {
    const scan = scanRequest(body({ model: 'm', n: 2, max_tokens: 5, max_completion_tokens: 7, user: 'u', tools: [] }))
    expect(scan).toMatchObject({ model: 'm', n: 2, maxTokens: 7, affinityKey: 'u', continuable: false, stream: false })
    expect(scanRequest(body({ model: 'm', tools: [] })).continuable).toBe(true)
    for (const [prompt, prompts] of [
      ['a', 1],
      [[1, 2, 3], 1],
      [['a', 'b'], 2],
      [[[1, 2], [3]], 2],
      [[], 1],
    ] as const) {
      expect(scanRequest(body({ prompt }))).toMatchObject({ prompts, continuable: prompts === 1 })
    }
    expect(scanRequest(body({ model: 'm', tools: [{ type: 'function' }] })).continuable).toBe(false)
    expect(scanRequest(body({ model: 'm', logprobs: 0 })).continuable).toBe(false)
  })

  it.each([
    ['[]', undefined],
    ['<html>', undefined],
    ['{"model":"a"', undefined],
    ['{"model":"a"} {}', undefined],
    ['{"model":1}', 'model'],
    ['{"model":"a","model":"b"}', 'model'],
    ['{"model":"a","mod\\u0065l":"b"}', 'model'],
    ['{"stream":"yes"}', 'stream'],
    ['{"stream_options":[]}', 'stream_options'],
    ['{"n":-1}', 'n'],
    ['{"n":1e}', 'n'],
  ])('refuses %s', (text, param) => {
    expect(() => scanRequest(Buffer.from(text))).toThrow(
      expect.objectContaining({ code: 'invalid_request', details: param === undefined ? {} : { param } }) as Error,
    )
  })
})
