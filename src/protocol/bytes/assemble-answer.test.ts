import { describe, expect, it } from 'vitest'
import { assembleAnswer, isEventStream } from './assemble-answer.ts'

const chunk = (delta: object, finish: string | null = null) =>
  `data: ${JSON.stringify({ id: 'c', object: 'chat.completion.chunk', created: 1, model: 'm', choices: [{ index: 0, delta, finish_reason: finish }] })}\n\n`

const assemble = (text: string): unknown => JSON.parse(assembleAnswer(Buffer.from(text), 'http://up').toString())

describe('assembleAnswer', () => {
  it('joins text, thinking and tool calls into the message that the API would have sent', () => {
    const call = (more: object) => ({ tool_calls: [{ index: 0, ...more }] })
    const text = [
      ': ping\n\n',
      chunk({ role: 'assistant', content: '', reasoning: 'h' }),
      chunk({ reasoning: 'm' }),
      chunk({ content: 'AL' }),
      chunk({ content: 'PHA' }),
      chunk(call({ id: 'call-1', type: 'function', function: { name: 'add', arguments: '' } })),
      chunk(call({ function: { arguments: '{"a"' } })),
      chunk(call({ function: { arguments: ':1}' } }), 'tool_calls'),
      'data: {"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2}}\n\ndata: [DONE]',
    ].join('')
    expect(isEventStream(Buffer.from(text))).toBe(true)
    expect(assemble(text)).toEqual({
      id: 'c',
      object: 'chat.completion',
      created: 1,
      model: 'm',
      usage: { prompt_tokens: 1, completion_tokens: 2 },
      choices: [
        {
          index: 0,
          message: {
            role: 'assistant',
            content: 'ALPHA',
            reasoning: 'hm',
            tool_calls: [{ index: 0, id: 'call-1', type: 'function', function: { name: 'add', arguments: '{"a":1}' } }],
          },
          finish_reason: 'tool_calls',
        },
      ],
    })
  })

  it('joins completions', () => {
    const text = ['a', 'b'].map(
      (text) => `data: {"object":"text_completion","choices":[{"index":0,"text":"${text}"}]}\n\n`,
    )
    expect(assemble(text.join(''))).toEqual({ object: 'text_completion', choices: [{ index: 0, text: 'ab' }] })
  })

  it('throws the failure that the stream holds, and takes none for an answer', () => {
    expect(() => assemble(`${chunk({ content: 'a' })}data: {"detail":"engine died"}\n\n`)).toThrow(/engine died/)
    expect(() => assemble('data: [DONE]\n\n')).toThrow(/without output/)
    expect(isEventStream(Buffer.from('{"data":1}'))).toBe(false)
  })
})
