import type { TextMessage, ToolDefinition } from '../inference/index.ts'
import { rewriteCallIds } from './answer/call-id.ts'
import type { CallConvention } from './answer/conventions.ts'
import type { TemplateTraits } from './template-traits.ts'
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
  const told = showTools(rewriteCallIds(roles, convention), shownTools, convention.syntax)
  const written = traits.callHistory ? told : writeCallHistory(told, convention.syntax)
  const placed = traits.systemRole ? written : withoutSystemRole(written)
  return placed.map((message, at) => toTemplateMessage(message, traits, at === placed.length - 1 ? endMark : ''))
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
          arguments: traits.argumentsAsObject ? parseArguments(call.arguments) : call.arguments,
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

/** Puts system texts in front of the next user message; a last one without a successor becomes a user message. */
function withoutSystemRole(messages: readonly TextMessage[]): readonly TextMessage[] {
  const kept: TextMessage[] = []
  let pending = ''
  for (const message of messages) {
    if (message.role === 'system') {
      pending = pending === '' ? message.content : `${pending}\n\n${message.content}`
    } else if (message.role === 'user' && pending !== '') {
      kept.push({ ...message, content: `${pending}\n\n${message.content}` })
      pending = ''
    } else {
      kept.push(message)
    }
  }
  if (pending !== '') kept.push({ role: 'user', content: pending })
  return kept
}

/** What the model wrote as an object; text that is no JSON object travels as it is, for the template to show. */
function parseArguments(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}
