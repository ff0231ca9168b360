import { describe, expect, it } from 'vitest'
import { readUsage } from './usage-value.ts'

describe('readUsage', () => {
  it('adds thinking that the completion lacks and the total shows', () => {
    const details = { completion_tokens_details: { reasoning_tokens: 100 } }
    const usage = { prompt_tokens: 9, completion_tokens: 5, ...details }
    expect(readUsage({ ...usage, total_tokens: 114 })).toMatchObject({ completionTokens: 105, reasoningTokens: 100 })
    expect(readUsage({ ...usage, completion_tokens: 105, total_tokens: 114 })).toMatchObject({ completionTokens: 105 })
    expect(readUsage(usage)).toMatchObject({ completionTokens: 5 })
  })

  it('takes zero for a value, and knows nothing of what is not there', () => {
    const zero = {
      prompt_tokens: 0,
      completion_tokens: 0,
      total_tokens: 0,
      prompt_tokens_details: { cached_tokens: 0 },
    }
    expect(readUsage(zero)).toEqual({
      promptTokens: 0,
      completionTokens: 0,
      cachedTokens: 0,
      reasoningTokens: undefined,
    })
    expect(readUsage({ total_tokens: 7 })).toMatchObject({ promptTokens: 7, completionTokens: 0 })
    expect(readUsage({})).toBeUndefined()
  })
})
