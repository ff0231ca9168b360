import { readFileSync } from 'node:fs'
import { Template } from '@huggingface/jinja'
import { describe, expect, it } from 'vitest'
import { createRandom } from '../../src/core/index.ts'
import { renderChat } from './chat-text.ts'
import { trainingConversation, type Conversation } from './corpus/conversation.ts'
import { spacedJson } from './corpus/extraction.ts'

const template = new Template(readFileSync(new URL('chat-template.jinja', import.meta.url), 'utf8'))

/** The dialogue as a client of the chat API would send it. */
function messagesOf({ system, turns }: Conversation): Record<string, unknown>[] {
  const messages: Record<string, unknown>[] = []
  if (system !== undefined) messages.push({ role: 'system', content: system })
  for (const turn of turns) {
    messages.push({ role: 'user', content: turn.user })
    if (turn.calls !== undefined) {
      const calls = turn.calls.map((call) => ({ type: 'function', function: call }))
      messages.push({ role: 'assistant', content: '', tool_calls: calls })
    }
    for (const result of turn.results ?? []) messages.push({ role: 'tool', content: spacedJson(result) })
    if (turn.answer !== undefined) messages.push({ role: 'assistant', content: turn.answer })
  }
  return messages
}

function toolsOf({ tools }: Conversation) {
  return tools.map(({ name, description, parameters }) => ({
    type: 'function',
    function: {
      name,
      description,
      parameters: {
        type: 'object',
        properties: Object.fromEntries(Object.entries(parameters).map(([key, type]) => [key, { type }])),
        required: Object.keys(parameters),
      },
    },
  }))
}

describe('chat-template.jinja', () => {
  it('renders every dialogue to the bytes that the model was trained on', () => {
    const random = createRandom(5)
    for (let at = 0; at < 400; at++) {
      const conversation = trainingConversation(random, 6)
      const rendered = template.render({ messages: messagesOf(conversation), tools: toolsOf(conversation) })
      expect(rendered).toBe(`${renderChat(conversation).join('')}\n`)
    }
  })

  it('opens the turn of the assistant when asked for a generation prompt', () => {
    const messages = [{ role: 'user', content: 'Hello' }]
    expect(template.render({ messages, add_generation_prompt: true })).toBe(
      '<|im_start|>user\nHello<|im_end|>\n<|im_start|>assistant\n',
    )
  })

  it('writes the arguments of calls as spaced JSON, and marks optional and enumerated parameters', () => {
    const call = (args: unknown) => ({
      role: 'assistant',
      content: null,
      tool_calls: [{ id: 'call-1', type: 'function', function: { name: 'find', arguments: args } }],
    })
    expect(template.render({ messages: [call({ id: 7 })] })).toContain(
      '<tool_call>\n{"name": "find", "arguments": {"id": 7}}\n</tool_call>',
    )
    const parameters = {
      type: 'object',
      properties: { id: { type: 'integer' }, unit: { type: 'string', enum: ['C', 'F'] }, free: {} },
      required: ['id'],
    }
    const tools = [{ type: 'function', function: { name: 'find', description: 'Find it', parameters } }]
    expect(template.render({ messages: [{ role: 'user', content: 'Go' }], tools })).toContain(
      '<tools>\nfind(id: integer, unit?: C|F, free?: any): Find it\n</tools>',
    )
    const bare = [{ type: 'function', function: { name: 'ping' } }]
    expect(template.render({ messages: [{ role: 'user', content: 'Go' }], tools: bare })).toContain('\nping()\n')
  })
})
