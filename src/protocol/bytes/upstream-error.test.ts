import { describe, expect, it } from 'vitest'
import { readRetryAfterMs, streamError, upstreamError } from './upstream-error.ts'
import { readEventFailure } from './upstream-failure.ts'

describe('upstreamError', () => {
  const error = (status: number, message = 'm', extra: object = {}) =>
    upstreamError('http://up', { status, body: JSON.stringify({ error: { message, ...extra } }) })

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

  it.each([400, 404, 405, 413, 415, 422, 501])(
    'blames the endpoint for a page with status %i, not the client',
    (status) => {
      for (const body of ['<html>ingress</html>', 'not found', '']) {
        const error = upstreamError('http://up', { status, body })
        expect(error).toMatchObject({ code: 'upstream_failed', details: { endpoint: 'http://up' } })
        expect(error.message).toContain(`status ${status}`)
      }
    },
  )

  it.each([
    [404, { code: 'DeploymentNotFound', message: 'The API deployment for this resource does not exist.' }],
    [404, { code: 'model_not_found', message: 'm' }],
    [400, { code: 400, status: 'INVALID_ARGUMENT', message: 'API key not valid. Please pass a valid API key.' }],
  ])('blames the endpoint for what its configuration is wrong about (%i %o)', (status, body) => {
    expect(error(status, body.message, body)).toMatchObject({
      code: 'upstream_failed',
      details: { endpoint: 'http://up' },
    })
  })

  it('names a redirect and where it leads', () => {
    const redirect = upstreamError('http://up', { status: 308, body: '', location: 'https://up/v1' })
    expect(redirect).toMatchObject({ code: 'upstream_failed', details: { upstreamStatus: 308 } })
    expect(redirect.message).toContain("redirect to 'https://up/v1'")
  })

  it.each([
    'The engine is currently busy and cannot accept new requests. Please try again later or on a different instance.',
    'The engine has reached its prefill token backlog limit. Please try again later or on a different instance.',
    'The request queue is full.',
  ])('takes a 503 of a full queue for a short rest: %s', (message) => {
    expect(error(503, message)).toMatchObject({ code: 'rate_limited', details: { retryAfterMs: 250 } })
    expect(error(503, 'Loading model').code).toBe('unavailable')
  })

  it('takes addresses and keys out of the words that are for the client', () => {
    const told = error(400, 'bad field at http://up/v1/chat (key sk-1234567890abcdefgh), see https://in.side/x').message
    expect(told).toBe('bad field at the endpoint/v1/chat (key (key)), see (address)')
  })

  it('takes the status from the code in an event of a stream', () => {
    const code = (error: object) => {
      const failure = readEventFailure({ error })
      return failure === undefined ? 'no failure' : streamError('u', failure).code
    }
    expect(code({ message: 'too long', code: 400 })).toBe('invalid_request')
    expect(code({ message: 'x', code: 'server_error' })).toBe('upstream_failed')
    expect(code({ message: 'x', code: 'Throttling' })).toBe('rate_limited')
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
