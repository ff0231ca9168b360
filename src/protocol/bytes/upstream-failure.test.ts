import { describe, expect, it } from 'vitest'
import { readAnswerFailure, readErrorBody, readEventFailure, readFailure } from './upstream-failure.ts'

const choice = (more: object = {}) => ({ index: 0, delta: { content: 'hi' }, finish_reason: null, ...more })

describe('readErrorBody', () => {
  it.each([
    ['OpenAI', '{"error":{"message":"m","type":"t","param":"p","code":"c"}}', ['m', 't', 'p', 'c']],
    [
      'vLLM',
      '{"error":{"message":"m","type":"BadRequestError","param":null,"code":400}}',
      ['m', 'BadRequestError', undefined, '400'],
    ],
    ['SGLang', '{"object":"error","message":"m","type":"t","param":null,"code":400}', ['m', 't', undefined, '400']],
    ['trtllm-serve', '{"error":"m"}', ['m', undefined, undefined, undefined]],
    ['TGI', '{"error":"m","error_type":"validation"}', ['m', 'validation', undefined, undefined]],
    ['FastAPI', '{"detail":[{"loc":["body","n"],"msg":"bad"}]}', ['body.n: bad', undefined, undefined, undefined]],
    ['FastAPI, text', '{"detail":"Not Found"}', ['Not Found', undefined, undefined, undefined]],
    ['DashScope', '{"code":"Throttling","message":"m"}', ['m', undefined, undefined, 'Throttling']],
    ['Qianfan', '{"error_code":336501,"error_msg":"m"}', ['m', undefined, undefined, '336501']],
    ['Cloudflare', '{"success":false,"errors":[{"code":10000,"message":"m"}]}', ['m', undefined, undefined, '10000']],
    [
      'Gemini',
      '[{"error":{"code":429,"message":"m","status":"RESOURCE_EXHAUSTED"}}]',
      ['m', undefined, undefined, '429'],
    ],
    ['a text', '"upstream connect error"', ['upstream connect error', undefined, undefined, undefined]],
    ['HTML', '<html>', [undefined, undefined, undefined, undefined]],
    ['nothing', '', [undefined, undefined, undefined, undefined]],
    ['an array', '[1]', [undefined, undefined, undefined, undefined]],
  ])('reads the shape of %s', (_name, body, [message, type, param, code]) => {
    expect(readErrorBody(body)).toMatchObject({ message, type, param, code })
  })
})

describe('readEventFailure', () => {
  it.each([
    ['an error object', { error: { message: 'm' } }, undefined, 'm'],
    ['a flat error', { object: 'error', message: 'm', code: 500 }, undefined, 'm'],
    ['a detail', { detail: 'm' }, undefined, 'm'],
    ['a code and a message', { code: 'Throttling', message: 'm' }, undefined, 'm'],
    ['an error beside choices', { choices: [choice()], error: { message: 'm' } }, undefined, 'm'],
    ['an event named error', { message: 'm' }, 'error', 'm'],
    ['an event named error with a text', 'm', 'error', 'm'],
    ['a sequence given up', { choices: [choice({ finish_reason: 'abort' })] }, undefined, /'abort'/],
    [
      'a sequence given up with words',
      { choices: [choice({ finish_reason: 'error', error: { message: 'm' } })] },
      undefined,
      'm',
    ],
    ['null', null, undefined, /no JSON object/],
  ])('finds %s', (_name, value, event, message) => {
    expect(readEventFailure(value, event)?.message).toMatch(message)
  })

  it.each([
    ['a chunk', { choices: [choice()] }],
    ['a chunk with null errors', { choices: [choice()], error: null, detail: null }],
    ['the usage chunk', { choices: [], usage: { prompt_tokens: 1 }, message: 'm' }],
    ['a first chunk without choices yet', { choices: [], prompt_filter_results: [] }],
    ['the end of a sequence', { choices: [choice({ finish_reason: 'length' })] }],
    ['a sign of life', { type: 'ping' }],
  ])('lets %s pass', (_name, value) => {
    expect(readEventFailure(value)).toBeUndefined()
  })
})

describe('readAnswerFailure', () => {
  it.each([
    null,
    {},
    [],
    'text',
    { choices: [] },
    { choices: null, message: 'm' },
    { choices: [{ finish_reason: 'error' }] },
  ])('takes %j for no answer', (value) => expect(readAnswerFailure(value)).toBeDefined())

  it('takes an answer that ended for one, and forms of other operations', () => {
    expect(readAnswerFailure({ choices: [{ message: { content: '' }, finish_reason: 'stop' }] })).toBeUndefined()
    for (const value of [{ data: [] }, { results: [] }, [{ score: 1 }], { tokens: [1] }, { content: 'error' }]) {
      expect(readFailure(value)).toBeUndefined()
    }
  })
})
