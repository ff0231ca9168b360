import { describe, expect, it } from 'vitest'
import { TokenmillError } from '../core/index.ts'
import { toErrorBody } from './errors.ts'

describe('the answer to a prompt that is too long', () => {
  it('has the figures by the names that clients of OpenAI and of llama-server look for', () => {
    const details = { limit: 'ctx', maximum: 4096, actual: 5000, unit: 'tokens' }
    expect(toErrorBody(new TokenmillError('context_length_exceeded', 'Too long.', details)).error).toMatchObject({
      type: 'invalid_request_error',
      code: 'context_length_exceeded',
      details: { ...details, n_prompt_tokens: 5000, n_ctx: 4096 },
    })
  })
})
