import type { TextMessage, ToolDefinition } from '../inference/index.ts'
import type { CallSyntax } from './answer/call-convention.ts'
import { writeCall } from './answer/call-writer.ts'

/** A tool in OpenAI's shape. */
export function toTemplateTool(tool: ToolDefinition): Record<string, unknown> {
  return {
    type: 'function',
    function: {
      name: tool.name,
      description: tool.description ?? '',
      parameters: tool.parameters ?? { type: 'object', properties: {} },
    },
  }
}

/** Tells the model of its tools in the system message, for templates that do not. */
export function showTools(
  messages: readonly TextMessage[],
  tools: readonly ToolDefinition[],
  syntax: CallSyntax,
): readonly TextMessage[] {
  if (tools.length === 0) return messages
  const text = instructions(tools, syntax)
  const [first, ...rest] = messages
  return first?.role === 'system'
    ? [{ ...first, content: `${first.content}\n\n${text}` }, ...rest]
    : [{ role: 'system', content: text }, ...messages]
}

/** Earlier calls and their results as plain text, for templates that leave them out. */
export function writeCallHistory(messages: readonly TextMessage[], syntax: CallSyntax): readonly TextMessage[] {
  return messages.map((message) => {
    if (message.role === 'tool') {
      return { role: 'user', content: `<tool_response>\n${message.content}\n</tool_response>` }
    }
    const { toolCalls, ...told } = message
    if (toolCalls === undefined || toolCalls.length === 0) return message
    const calls = toolCalls.map((call) => writeCall(syntax, call.name, call.arguments))
    const written = syntax.open + calls.join(syntax.between ?? '\n') + syntax.close
    return { ...told, content: message.content === '' ? written : `${message.content}\n${written}` }
  })
}

function instructions(tools: readonly ToolDefinition[], syntax: CallSyntax): string {
  const example = syntax.open + writeCall(syntax, 'NAME', '{"ARGUMENT": "VALUE"}') + syntax.close
  const form = syntax.arguments.kind === 'json' ? ' as a JSON object' : ''
  return [
    'You can call these functions. Each line describes one:',
    ...tools.map((tool) => JSON.stringify(toTemplateTool(tool))),
    '',
    `To call a function, write exactly this, with its name and its arguments${form}, and end your answer there:`,
    example,
    'When no function helps, answer in plain text.',
  ].join('\n')
}
