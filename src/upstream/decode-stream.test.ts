import { describe, expect, it } from 'vitest'
import { StreamDecoder } from './decode-stream.ts'

const chunk = (delta: object, more: object = {}) =>
  JSON.stringify({ choices: [{ index: 0, delta, finish_reason: null, ...more }] })

const read = (...data: string[]) => {
  const decoder = new StreamDecoder('http://up', 1)
  return data.flatMap((each) => decoder.read(each))
}

describe('StreamDecoder', () => {
  it('reads content in parts, thinking under each of its names, and text beside a delta', () => {
    const parts = [
      { type: 'thinking', thinking: [{ type: 'text', text: 'h' }] },
      { type: 'text', text: 'a' },
    ]
    const events = read(
      chunk({ content: parts }),
      chunk({ reasoning_details: [{ type: 'reasoning.text', text: 'm' }] }),
      chunk({ content: '' }, { text: 'b' }),
    )
    expect(events).toMatchObject([
      { type: 'reasoning', text: 'h' },
      { type: 'text', text: 'a' },
      { type: 'reasoning', text: 'm' },
      { type: 'text', text: 'b' },
    ])
  })

  it('reads a call of the old kind as one tool call', () => {
    const events = read(
      chunk({ function_call: { name: 'add', arguments: '{' } }),
      chunk({ function_call: { arguments: '}' } }, { finish_reason: 'function_call' }),
    )
    expect(events).toMatchObject([
      { type: 'toolCall', call: 0, id: 'call_0_0', name: 'add', arguments: '{' },
      { type: 'toolCall', call: 0, arguments: '}' },
      { type: 'finished', reason: 'toolCalls' },
    ])
  })

  it("takes SGLang's matched_stop for the stop reason", () => {
    expect(read(chunk({}, { finish_reason: 'stop', matched_stop: 'END' }))).toMatchObject([
      { type: 'finished', reason: 'stop', stopReason: 'END' },
    ])
  })

  it.each([
    ['{"object":"error","message":"engine died","code":500}', undefined, /engine died/],
    ['{"message":"engine died"}', 'error', /engine died/],
    [chunk({}, { finish_reason: 'abort' }), undefined, /'abort'/],
    ['null', undefined, /no JSON object/],
  ])('throws the failure in %s', (data, event, message) => {
    expect(() => new StreamDecoder('http://up', 1).read(data, event)).toThrow(message)
  })

  it('takes a stream that held nothing for a failure, whatever it declared', () => {
    const decoder = new StreamDecoder('http://up', 1)
    decoder.read('[DONE]')
    expect(() => decoder.end()).toThrow(/without output/)
  })
})
