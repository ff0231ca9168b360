import { describe, expect, it } from 'vitest'
import { splitUrl } from './base-url.ts'

describe('splitUrl', () => {
  it.each([
    ['http://10.0.0.7:8000', 'http://10.0.0.7:8000', '', '/v1', ''],
    ['http://10.0.0.7:8000/v1/', 'http://10.0.0.7:8000', '', '/v1', ''],
    ['https://host/proxied', 'https://host', '/proxied', '/proxied/v1', ''],
    ['https://host/proxied/v1', 'https://host', '/proxied', '/proxied/v1', ''],
    ['https://api.groq.com/openai/v1', 'https://api.groq.com', '/openai', '/openai/v1', ''],
    [
      'https://generativelanguage.googleapis.com/v1beta/openai/',
      'https://generativelanguage.googleapis.com',
      '/v1beta/openai',
      '/v1beta/openai',
      '',
    ],
    ['https://open.bigmodel.cn/api/paas/v4/', 'https://open.bigmodel.cn', '/api/paas', '/api/paas/v4', ''],
    ['https://api.deepinfra.com/v1/openai', 'https://api.deepinfra.com', '/v1/openai', '/v1/openai', ''],
    [
      'https://a-aiplatform.googleapis.com/v1/projects/p/locations/l/endpoints/openapi',
      'https://a-aiplatform.googleapis.com',
      '/v1/projects/p/locations/l/endpoints/openapi',
      '/v1/projects/p/locations/l/endpoints/openapi',
      '',
    ],
    [
      'https://r.example.com/openai/deployments/gpt-4o?api-version=2024-10-21',
      'https://r.example.com',
      '/openai/deployments/gpt-4o',
      '/openai/deployments/gpt-4o',
      'api-version=2024-10-21',
    ],
    ['https://host/v1?api-version=preview', 'https://host', '', '/v1', 'api-version=preview'],
  ])('finds the API of %s', (url, origin, root, api, query) => {
    expect(splitUrl(url)).toEqual({ origin, root, api, query })
  })
})
