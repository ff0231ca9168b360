import { describe, expect, it } from 'vitest'
import { outputText } from './output-text.ts'

describe('outputText()', () => {
  it.each([
    ['content', { delta: { content: 'a' } }, 'a'],
    ['completions', { text: 'a' }, 'a'],
    ['an empty text beside the delta', { text: '', delta: { content: 'a' } }, 'a'],
    ['one text under two names', { delta: { reasoning: 'a', reasoning_content: 'a' } }, 'a'],
    [
      'a list of parts',
      {
        delta: {
          content: [
            { type: 'text', text: 'a' },
            { type: 'text', text: 'b' },
          ],
        },
      },
      'ab',
    ],
    [
      'thinking as a part',
      { delta: { content: [{ type: 'thinking', thinking: [{ type: 'text', text: 'hm' }] }] } },
      'hm',
    ],
    ['reasoning details', { delta: { reasoning_details: [{ type: 'reasoning.text', text: 'hm' }] } }, 'hm'],
    ['a refusal', { message: { content: null, refusal: 'no' } }, 'no'],
    ['a tool call', { delta: { tool_calls: [{ function: { name: 'f', arguments: '{}' } }] } }, 'f{}'],
    ['a function call of old', { delta: { function_call: { name: 'f', arguments: '{}' } } }, 'f{}'],
    ['a role alone', { delta: { role: 'assistant', content: '' } }, ''],
    ['nothing', {}, ''],
  ])('reads %s', (_, choice, text) => {
    expect(outputText(choice)).toBe(text)
  })

  it.each([null, undefined, 7, 'a', [], { delta: 5, text: {} }, { delta: { tool_calls: [null, 4] } }])(
    'finds nothing in %j',
    (choice) => {
      expect(outputText(choice as never)).toBe('')
    },
  )
})
