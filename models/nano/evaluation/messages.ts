import type { Sample, Tool } from '../corpus/sample.ts'
import { spacedJson } from '../corpus/extraction.ts'

/** A message of the chat API. */
export type Message = Readonly<Record<string, unknown>>

/**
 * What a client sends to have the last step of a sample answered: everything before it, with earlier calls and
 * their results as the API writes them.
 */
export function requestOf(sample: Sample, system?: string): { messages: Message[]; tools?: unknown[] } {
  const messages: Message[] = system === undefined ? [] : [{ role: 'system', content: system }]
  for (const [at, turn] of sample.turns.entries()) {
    const last = at === sample.turns.length - 1
    messages.push({ role: 'user', content: turn.user })
    if (turn.calls !== undefined && !(last && turn.answer === undefined)) {
      const ids = turn.calls.map((_, index) => `call-${at}-${index}`)
      const calls = turn.calls.map((call, index) => ({
        id: ids[index],
        type: 'function',
        function: { name: call.name, arguments: JSON.stringify(call.arguments) },
      }))
      messages.push({ role: 'assistant', content: null, tool_calls: calls })
      for (const [index, result] of (turn.results ?? []).entries()) {
        messages.push({ role: 'tool', tool_call_id: ids[index], content: spacedJson(result) })
      }
    }
    if (turn.answer !== undefined && !last) messages.push({ role: 'assistant', content: turn.answer })
  }
  return sample.tools === undefined ? { messages } : { messages, tools: sample.tools.map(toApiTool) }
}

/** A tool in the shape of the chat API: JSON Schema, every argument required unless its type ends with `?`. */
export function toApiTool({ name, description, parameters }: Tool): Record<string, unknown> {
  const entries = Object.entries(parameters)
  return {
    type: 'function',
    function: {
      name,
      description,
      parameters: {
        type: 'object',
        properties: Object.fromEntries(entries.map(([key, type]) => [key, { type: type.replace(/\?$/, '') }])),
        required: entries.filter(([, type]) => !type.endsWith('?')).map(([key]) => key),
      },
    },
  }
}
