import { describe, expect, it } from 'vitest'
import { besideApiUrl, operationUrl, parseBaseUrl, suggestedBaseUrl } from './endpoint-url.ts'

describe('a base URL', () => {
  it.each([
    ['http://host:8000/v1/', 'http://host:8000/v1/chat/completions'],
    ['http://host:8000', 'http://host:8000/chat/completions'],
    ['https://host/v1beta/openai/', 'https://host/v1beta/openai/chat/completions'],
    ['https://host/api/paas/v4', 'https://host/api/paas/v4/chat/completions'],
    [
      'https://r.example/openai/deployments/d?api-version=2024-10-21',
      'https://r.example/openai/deployments/d/chat/completions?api-version=2024-10-21',
    ],
    ['https://host/a%20b/v1', 'https://host/a%20b/v1/chat/completions'],
  ])('%s keeps its path and its query string', (base, expected) => {
    expect(operationUrl(parseBaseUrl(base), 'chat/completions').href).toBe(expected)
  })

  it('tells where an engine serves its metrics, and that a provider has none', () => {
    expect(besideApiUrl('http://host:8000/v1', 'metrics')).toBe('http://host:8000/metrics')
    expect(besideApiUrl('http://host:8000/a/v1?x=1', 'tokenize')).toBe('http://host:8000/a/tokenize')
    expect(besideApiUrl('http://host:8000', 'metrics')).toBe('http://host:8000/metrics')
    expect(besideApiUrl('https://host/v1beta/openai', 'metrics')).toBeUndefined()
  })

  it('suggests /v1 where it is a bare origin', () => {
    expect(suggestedBaseUrl('http://host:8000')).toBe('http://host:8000/v1')
    expect(suggestedBaseUrl('http://host:8000/v1')).toBeUndefined()
  })

  it('is refused where it is no address of http, or holds a password', () => {
    expect(() => parseBaseUrl('host:8000/v1')).toThrow(/protocol host:/)
    expect(() => parseBaseUrl('nothing')).toThrow(/is no URL/)
    expect(() => parseBaseUrl('http://me:secret@host/v1')).toThrow(/^The URL of host holds a password/)
  })
})
