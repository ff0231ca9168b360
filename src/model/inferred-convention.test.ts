import { describe, expect, it } from 'vitest'
import type { ChatInput } from '../inference/index.ts'
import { createChatFormat, type ChatFormat } from './chat-format.ts'
import { createOutputParser } from './answer/output-parser.ts'

const turn = (calls: string): string =>
  "{% for m in messages %}[{{ m.role }}] {{ m.content or '' }}" + calls + '[/turn]\n{% endfor %}'
const eachCall = (body: string, join: string): string =>
  `{% for c in m.tool_calls %}{% set f = c.function %}${body}{% if not loop.last %}${join}{% endif %}{% endfor %}`
const withCalls = (open: string, body: string, join: string, close: string): string =>
  turn(`{% if m.tool_calls %}${open}${eachCall(body, join)}${close}{% endif %}`)

const json = '{"name": "{{ f.name }}", "arguments": {{ f.arguments | tojson }}}'

/** Templates of no known family, and what their models would write. */
const templates: Readonly<Record<string, { template: string; name: string; answer: string }>> = {
  'a list between marks': {
    template: withCalls('<|calls|>[', json, ', ', ']<|/calls|>'),
    name: 'template-list',
    answer:
      'Sure. <|calls|>[{"name": "weather", "arguments": {"city": "Oslo"}}, {"name": "clock", "arguments": {}}]<|/calls|>',
  },
  'an object in marks of its own each': {
    template: withCalls('', `@@call\n${json}\n@@end`, '\n', ''),
    name: 'template-list',
    answer:
      'Sure.\n@@call\n{"name": "weather", "arguments": {"city": "Oslo"}}\n@@end\n@@call\n{"name": "clock", "arguments": {}}\n@@end',
  },
  'a name and arguments, each behind a mark': {
    template: withCalls('<|fns|>', '<|fn|>{{ f.name }}<|args|>{{ f.arguments | tojson }}<|/fn|>', '', '<|/fns|>'),
    name: 'template-section',
    answer: 'Sure.<|fns|><|fn|>weather<|args|>{"city": "Oslo"}<|/fn|><|fn|>clock<|args|>{}<|/fn|><|/fns|>',
  },
}

const chat: ChatInput = {
  messages: [{ role: 'user', content: 'Hi' }],
  tools: [{ name: 'weather', description: undefined, parameters: { type: 'object' }, strict: false }],
  toolChoice: { kind: 'auto' },
  parallelToolCalls: true,
  reasoningEffort: undefined,
  templateVariables: {},
  continueFinalMessage: false,
}

const formatOf = (chatTemplate: string): ChatFormat =>
  createChatFormat({ chatTemplate, bosToken: undefined, eosToken: undefined })

describe('a template of no known family', () => {
  for (const [what, { template, name, answer }] of Object.entries(templates)) {
    it(`shows how its calls are written: ${what}`, () => {
      const format = formatOf(template)
      expect(format.convention).toBe(name)
      const form = format.render(chat)
      const { syntax } = form.answer.convention
      for (const text of [
        answer,
        `Sure.${syntax.open}${['weather', 'clock'].map((tool) => syntax.before(tool) + (tool === 'clock' ? '{}' : '{"city": "Oslo"}') + syntax.after).join(syntax.between)}${syntax.close}`,
      ]) {
        const parser = createOutputParser(chat, form)
        let said = ''
        const calls: string[] = []
        for (const piece of [...parser.push(text), ...parser.end()]) {
          if (piece.type === 'text') said += piece.text
          if (piece.type === 'toolCall') calls.push((piece.name ?? '') + piece.arguments)
        }
        expect(said.trim(), text).toBe('Sure.')
        expect(calls.join(' '), text).toBe('weather{"city": "Oslo"} clock{}')
      }
      expect(syntax.open + syntax.before('weather')).toContain(syntax.trigger)
    })
  }

  it('is taken for none where it writes no calls, or without marks', () => {
    expect(formatOf(turn('')).convention).toBe('generic')
    expect(formatOf(withCalls('', json, '\n', '')).convention).toBe('generic')
    expect(formatOf(withCalls('', '{{ f.name }} {{ f.arguments | tojson }}', '\n', '')).convention).toBe('generic')
  })
})
