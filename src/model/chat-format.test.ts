import { describe, expect, it } from 'vitest'
import { VirtualClock } from '../core/index.ts'
import type { ChatInput, ChatMessage } from '../inference/index.ts'
import { createChatFormat } from './chat-format.ts'

const chatml =
  "{%- if tools %}{{- '<|im_start|>system\\n' }}{%- for tool in tools %}{{- tool | tojson }}{%- endfor %}{{- '<|im_end|>\\n' }}{%- endif %}" +
  "{%- for message in messages %}{{- '<|im_start|>' + message.role + '\\n' + (message.content or '') }}" +
  "{%- for call in message.tool_calls or [] %}{{- '<tool_call>' + (call.function | tojson) + '</tool_call>' }}{%- endfor %}" +
  "{{- '<|im_end|>\\n' }}{%- endfor %}{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- endif %}"

const withoutSystem =
  "{{ bos_token }}{% for message in messages %}{% if message.role == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}" +
  "{{ '<start_of_turn>' + message.role + '\\n' + message.content | trim + '<end_of_turn>\\n' }}{% endfor %}"

function chat(messages: readonly ChatMessage[], more: Partial<ChatInput> = {}): ChatInput {
  return {
    messages,
    tools: [],
    toolChoice: { kind: 'auto' },
    parallelToolCalls: true,
    reasoningEffort: undefined,
    templateVariables: {},
    continueFinalMessage: false,
    ...more,
  }
}

const format = (chatTemplate: string | undefined, bosToken?: string) =>
  createChatFormat({ chatTemplate, bosToken, eosToken: '</s>' }, new VirtualClock())

describe('createChatFormat', () => {
  it('renders messages, opens the next turn, and knows the text that ends it', () => {
    const rendered = format(chatml).render(chat([{ role: 'user', content: 'Hi' }]))
    expect(rendered.prompt).toBe('<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n')
    expect(rendered.addSpecialTokens).toBe(true)
    expect(rendered.stop).toEqual(['<|im_end|>'])
  })

  it('asks the tokenizer for no second BOS where the template has written one', () => {
    const rendered = format(withoutSystem, '<bos>').render(chat([{ role: 'user', content: 'Hi' }]))
    expect(rendered.prompt.startsWith('<bos><start_of_turn>user')).toBe(true)
    expect(rendered.addSpecialTokens).toBe(false)
  })

  it('puts system text into the user message of a template that refuses the role', () => {
    const rendered = format(withoutSystem).render(
      chat([
        { role: 'developer', content: 'Be brief.' },
        { role: 'user', content: 'Hi' },
      ]),
    )
    expect(rendered.prompt).toBe('<start_of_turn>user\nBe brief.\n\nHi<end_of_turn>\n')
  })

  it('treats a developer as the system where the template does not name the role', () => {
    const rendered = format(chatml).render(chat([{ role: 'developer', content: 'x' }]))
    expect(rendered.prompt).toContain('<|im_start|>system\nx')
  })

  it('continues the final message exactly behind its last character', () => {
    const rendered = format(chatml).render(
      chat(
        [
          { role: 'user', content: 'Count' },
          { role: 'assistant', content: 'one, two, ' },
        ],
        { continueFinalMessage: true },
      ),
    )
    expect(rendered.prompt).toBe('<|im_start|>user\nCount<|im_end|>\n<|im_start|>assistant\none, two, ')
  })

  it('refuses to continue a message that is not the assistant’s', () => {
    const input = chat([{ role: 'user', content: 'Hi' }], { continueFinalMessage: true })
    expect(() => format(chatml).render(input)).toThrow(/needs a final message with role "assistant"/)
  })

  it('shows tools in OpenAI’s shape, and none where none may be called', () => {
    const tools = [{ name: 'weather', description: 'Tells it', parameters: { type: 'object' }, strict: false }]
    const messages: ChatMessage[] = [{ role: 'user', content: 'Hi' }]
    expect(format(chatml).render(chat(messages, { tools })).prompt).toContain(
      '{"type": "function", "function": {"name": "weather", "description": "Tells it", "parameters": {"type": "object"}}}',
    )
    expect(format(chatml).render(chat(messages, { tools, toolChoice: { kind: 'none' } })).prompt).not.toContain(
      'weather',
    )
  })

  it('gives earlier calls to the template as objects where it serialises them itself', () => {
    const rendered = format(chatml).render(
      chat([
        { role: 'user', content: 'Hi' },
        { role: 'assistant', content: '', toolCalls: [{ id: 'c1', name: 'weather', arguments: '{"city":"Oslo"}' }] },
        { role: 'tool', content: '7', toolCallId: 'c1' },
      ]),
    )
    expect(rendered.prompt).toContain('<tool_call>{"name": "weather", "arguments": {"city": "Oslo"}}</tool_call>')
  })

  it('tells the date of its clock, in UTC', () => {
    const dated = "{{ strftime_now('%d %b %Y, %A %-d') }}{% for m in messages %}{{ m.content }}{% endfor %}"
    expect(format(dated).render(chat([{ role: 'user', content: '!' }])).prompt).toBe('01 Jan 1970, Thursday 1!')
  })

  it('answers a refusal of the template as an invalid request with the template’s words', () => {
    const picky = "{% for m in messages %}{{ raise_exception('Roles must alternate') }}{% endfor %}"
    expect(() => format(picky).render(chat([{ role: 'user', content: 'x' }]))).toThrow(
      expect.objectContaining({ code: 'invalid_request', message: expect.stringContaining('Roles must alternate') }),
    )
  })

  it('does not let a template of the file count without end', () => {
    const endless = '{% for m in messages %}{% for i in range(1000000000) %}x{% endfor %}{% endfor %}'
    expect(() => format(endless).render(chat([{ role: 'user', content: 'x' }]))).toThrow(
      expect.objectContaining({ code: 'limit_exceeded' }),
    )
  })

  it('refuses chats for a model without a template, and templates that are no Jinja', () => {
    expect(() => format(undefined).render(chat([{ role: 'user', content: 'x' }]))).toThrow(
      expect.objectContaining({ code: 'unsupported' }),
    )
    expect(() => format('{% if %}')).toThrow(expect.objectContaining({ code: 'unsupported' }))
  })

  it('turns reasoning effort into the switches that templates read', () => {
    const thinking = '{% for m in messages %}{{ m.content }}{% endfor %}|{{ enable_thinking }}|{{ reasoning_effort }}'
    const render = (reasoningEffort: string) =>
      format(thinking).render(chat([{ role: 'user', content: 'x' }], { reasoningEffort })).prompt
    expect(render('none')).toBe('x|False|')
    expect(render('high')).toBe('x|True|high')
  })
})
