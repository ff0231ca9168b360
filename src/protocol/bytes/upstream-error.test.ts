import { describe, expect, it } from 'vitest'
import { readErrorBody, readRetryAfterMs, streamError, upstreamError } from './upstream-error.ts'

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
    ['HTML', '<html>', [undefined, undefined, undefined, undefined]],
    ['nothing', '', [undefined, undefined, undefined, undefined]],
    ['an array', '[1]', [undefined, undefined, undefined, undefined]],
  ])('reads the shape of %s', (_name, body, [message, type, param, code]) => {
    expect(readErrorBody(body)).toEqual({ message, type, param, code })
  })
})

describe('upstreamError', () => {
  const error = (status: number, message = 'm', extra: object = {}) =>
    upstreamError('http://up', status, JSON.stringify({ error: { message, ...extra } }), undefined)

  it.each([
    [400, 'm', {}, 'invalid_request'],
    [400, "This model's maximum context length is 8192 tokens", {}, 'context_length_exceeded'],
    [400, 'm', { code: 'context_length_exceeded' }, 'context_length_exceeded'],
    [400, 'm', { type: 'exceed_context_size_error' }, 'context_length_exceeded'],
    [401, 'm', {}, 'upstream_failed'],
    [404, 'The model `x` does not exist.', {}, 'upstream_failed'],
    [404, 'Not Found', {}, 'unsupported'],
    [429, 'm', {}, 'rate_limited'],
    [500, 'm', {}, 'upstream_failed'],
    [503, 'm', {}, 'unavailable'],
    [504, 'm', {}, 'upstream_timeout'],
    [529, 'm', {}, 'unavailable'],
  ])('maps %i %s to its code', (status, message, extra, code) => {
    expect(error(status, message, extra)).toMatchObject({ code, details: { upstreamStatus: status } })
  })

  it('keeps the words of an upstream that quotes our key from the client', () => {
    const secret = error(401, 'Incorrect API key provided: sk-secret-1234')
    expect(secret.message).not.toContain('sk-secret')
    expect(secret.message).toContain('apiKey')
  })

  it('takes the status from the code in an event of a stream', () => {
    expect(streamError('u', '{"error":{"message":"too long","code":400}}').code).toBe('invalid_request')
    expect(streamError('u', '{"error":{"message":"x","code":"server_error"}}').code).toBe('upstream_failed')
  })
})

describe('readRetryAfterMs', () => {
  it('prefers milliseconds, then takes seconds or a date', () => {
    expect(readRetryAfterMs({ 'retry-after-ms': '250', 'retry-after': '9' }, 0)).toBe(250)
    expect(readRetryAfterMs({ 'retry-after': '1.5' }, 0)).toBe(1500)
    expect(readRetryAfterMs({ 'retry-after': 'Thu, 01 Jan 1970 00:00:10 GMT' }, 4000)).toBe(6000)
    expect(readRetryAfterMs({ 'retry-after': 'soon' }, 0)).toBeUndefined()
    expect(readRetryAfterMs({}, 0)).toBeUndefined()
  })
})
