import type { TextMessage, ToolDefinition } from '../inference/index.ts'
import { rewriteCallIds } from './answer/call-id.ts'
import type { CallConvention } from './answer/call-convention.ts'
import type { TemplateTraits } from './template-traits.ts'
import { arrangeTurns } from './template-turns.ts'
import { showTools, writeCallHistory } from './tool-instructions.ts'

/**
 * Messages in OpenAI's shape, bent to what the template takes. `endMark` is put behind the last one's text;
 * `shownTools` are those that the template does not show to the model itself.
 */
export function toTemplateMessages(
  messages: readonly TextMessage[],
  traits: TemplateTraits,
  convention: CallConvention,
  shownTools: readonly ToolDefinition[],
  endMark: string,
): readonly Record<string, unknown>[] {
  const roles = messages.map((message) => ({ ...message, role: roleOf(message, traits) }))
  const told = showTools(rewriteCallIds(nameResults(roles), convention), shownTools, convention.syntax)
  const written = traits.callHistory ? told : writeCallHistory(told, convention.syntax)
  const arranged = arrangeTurns(written, traits.turns, endMark !== '')
  return arranged.map((message, at) => toTemplateMessage(message, traits, at === arranged.length - 1 ? endMark : ''))
}

function toTemplateMessage(message: TextMessage, traits: TemplateTraits, endMark: string): Record<string, unknown> {
  const text = message.content + endMark
  const calls = message.toolCalls ?? []
  return {
    role: message.role,
    content: toContent(text, calls.length > 0, traits),
    ...(message.reasoning !== undefined && {
      reasoning_content: message.reasoning,
      reasoning: message.reasoning,
      thinking: message.reasoning,
    }),
    ...(calls.length > 0 && {
      tool_calls: calls.map((call) => ({
        id: call.id,
        type: 'function',
        function: {
          name: call.name,
          arguments: toArguments(call.arguments, traits),
        },
      })),
    }),
    ...(message.toolCallId !== undefined && { tool_call_id: message.toolCallId }),
    ...(message.name !== undefined && { name: message.name }),
  }
}

function toContent(text: string, calls: boolean, traits: TemplateTraits): unknown {
  if (text === '' && calls && traits.nullContent) return null
  return traits.typedContent ? [{ type: 'text', text }] : text
}

function roleOf(message: TextMessage, traits: TemplateTraits): TextMessage['role'] {
  return message.role === 'developer' && !traits.developerRole ? 'system' : message.role
}

/** Results by the name of what they answer, which some templates print: clients send the identifier alone. */
function nameResults(messages: readonly TextMessage[]): readonly TextMessage[] {
  const names = new Map(messages.flatMap(({ toolCalls = [] }) => toolCalls.map(({ id, name }) => [id, name] as const)))
  return messages.map((message) => {
    const name = message.role === 'tool' ? (message.name ?? names.get(message.toolCallId ?? '')) : message.name
    return name === undefined ? message : { ...message, name }
  })
}

/** In the form that the template takes, whatever the client sent back. */
function toArguments(text: string, traits: TemplateTraits): unknown {
  if (traits.argumentsAsObject) return parseArguments(text)
  if (text.trim() === '') return '{}'
  return traits.anyArgumentsText || parseObject(text) !== undefined ? text : JSON.stringify(parseArguments(text))
}

/**
 * What the model wrote as an object. Templates go through its keys, so that text which is no JSON object (an answer that
 * was cut off) stands under one key, to be seen whole.
 */
function parseArguments(text: string): Readonly<Record<string, unknown>> {
  if (text.trim() === '') return {}
  return parseObject(text) ?? { arguments: text }
}

function parseObject(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const parsed: unknown = JSON.parse(text)
    if (typeof parsed === 'object' && parsed !== null && !Array.isArray(parsed))
      return parsed as Record<string, unknown>
  } catch {
    // Text that is no JSON, like a JSON that is no object, has no keys.
  }
  return undefined
}
