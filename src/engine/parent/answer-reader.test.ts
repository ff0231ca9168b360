import { describe, expect, it } from 'vitest'
import type { ChatInput, GenerationEvent, GenerationRequest } from '../../inference/index.ts'
import { createChatFormat } from '../../model/index.ts'
import { createAnswerReader } from './answer-reader.ts'
import type { LoopEvent } from '../messages.ts'

const template =
  '{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}' +
  '{% if tools %}<tools>{{ tools | tojson }}</tools> <tool_call>{"name": …}</tool_call>{% endif %}' +
  '{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}'
const format = createChatFormat({ chatTemplate: template, bosToken: '<s>', eosToken: '</s>' })

const chat: ChatInput = {
  messages: [{ role: 'user', content: 'Grind.' }],
  tools: [{ name: 'grind', description: undefined, parameters: { type: 'object' }, strict: false }],
  toolChoice: { kind: 'auto' },
  parallelToolCalls: true,
  reasoningEffort: undefined,
  templateVariables: {},
  continueFinalMessage: false,
}

function read(
  input: GenerationRequest['input'],
  events: readonly LoopEvent[],
  stop: readonly string[] = [],
): GenerationEvent[] {
  const rendered = input.kind === 'chat' ? format.render(input.chat) : undefined
  const reader = createAnswerReader({ input, stop } as unknown as GenerationRequest, rendered)
  return events.flatMap((event) => [...reader.read(event)])
}

function output(text: string, tokens: number): LoopEvent {
  return { type: 'output', key: 1, index: 0, text, tokens, logprobs: undefined }
}

const prefilled: LoopEvent = { type: 'prefilled', key: 1, promptTokens: 9, cachedTokens: 4, promptLogprobs: undefined }
const finished: LoopEvent = { type: 'finished', key: 1, index: 0, reason: 'stop', stopReason: undefined, last: true }

describe('createAnswerReader()', () => {
  it('leaves the text of a plain prompt as it is, and sums up at the end', () => {
    const events = read({ kind: 'text', text: 'x' }, [prefilled, output('<tool_call>', 2), output('!', 1), finished])
    expect(events).toEqual([
      { type: 'prefilled', promptTokens: 9, cachedTokens: 4 },
      { type: 'text', index: 0, text: '<tool_call>', tokens: 2 },
      { type: 'text', index: 0, text: '!', tokens: 1 },
      { type: 'finished', index: 0, reason: 'stop' },
      { type: 'usage', usage: { promptTokens: 9, cachedTokens: 4, completionTokens: 3, reasoningTokens: 0 } },
    ])
  })

  it('tells a tool call from text, ends with toolCalls, and loses no token to what the parser held back', () => {
    const pieces = ['I ', 'will. <tool', '_call>{"name": "grind", ', '"arguments": {"kg": 3}}', '</tool_call>']
    const events = read({ kind: 'chat', chat }, [prefilled, ...pieces.map((piece) => output(piece, 2)), finished])
    const text = events.map((event) => (event.type === 'text' ? event.text : '')).join('')
    const call = events.map((event) => (event.type === 'toolCall' ? event.arguments : '')).join('')
    expect(text.trim()).toBe('I will.')
    expect(JSON.parse(call)).toEqual({ kg: 3 })
    expect(events.find((event) => event.type === 'toolCall')).toMatchObject({ name: 'grind', call: 0 })
    expect(events.find((event) => event.type === 'finished')).toMatchObject({ reason: 'toolCalls' })
    const told = events.reduce((sum, event) => sum + ('tokens' in event ? event.tokens : 0), 0)
    expect(told).toBe(10)
  })

  it('tells with the prompt what is not held of the tools’ schemas', () => {
    const request = { input: { kind: 'chat', chat }, stop: [] } as unknown as GenerationRequest
    const reader = createAnswerReader(request, format.render(chat))
    expect([...reader.read(prefilled, ['grind uniqueItems'])]).toMatchObject([{ unenforced: ['grind uniqueItems'] }])
    expect([...reader.read(prefilled, [])][0]).not.toHaveProperty('unenforced')
  })

  it('does not end with toolCalls where a stop text of the client cut the call short', () => {
    const whole = '<tool_call>{"name": "grind", "arguments": {"kg": 3}}</tool_call>'
    const reasonOf = (text: string, stopReason: string, stop: readonly string[]) => {
      const events = read({ kind: 'chat', chat }, [prefilled, output(text, 9), { ...finished, stopReason }], stop)
      return events.find((event) => event.type === 'finished')
    }
    expect(reasonOf(whole.slice(0, 50), 'kg', ['kg'])).toMatchObject({ reason: 'stop', stopReason: 'kg' })
    expect(reasonOf(whole, '!', ['!'])).toMatchObject({ reason: 'toolCalls', stopReason: '!' })
    // The template's end of a turn is none of the client's stop texts.
    expect(reasonOf(whole, '<|im_end|>', [])).toEqual({ type: 'finished', index: 0, reason: 'toolCalls' })
  })
})
