import type { ChatMessage, MessageContent, MessagePart, ToolCall } from '../../inference/index.ts'
import { Fields, invalid, unsupported, wrongType } from '../fields.ts'
import type { ProtocolLimits } from '../limits.ts'

/** The chat so far. Parts that are all text are joined; other parts stay as they are, for the engine to take or refuse. */
export function readMessages(body: Fields, limits: ProtocolLimits): readonly ChatMessage[] {
  const limit = { name: 'maxMessages', maximum: limits.maxMessages, unit: 'messages' }
  const messages = body.requiredArray('messages', limit)
  if (messages.length === 0) throw invalid('messages', 'is empty; it must hold at least one message.')
  return messages.map((message, index) => readMessage(Fields.of(message, `messages[${index}]`)))
}

function readMessage(message: Fields): ChatMessage {
  const role = message.word('role', ['system', 'developer', 'user', 'assistant', 'tool', 'function'])
  if (role === undefined) {
    throw invalid(message.path('role'), 'is missing; it must be "system", "developer", "user", "assistant" or "tool".')
  }
  if (role === 'function') message.refuse('role', 'functions became tools; send role "tool" with tool_call_id.')
  if (message.has('function_call')) message.refuse('function_call', 'functions became tools; send tool_calls.')
  if (message.has('audio')) message.refuse('audio', 'earlier spoken answers are not kept here; send their transcript.')

  const toolCalls = role === 'assistant' ? readToolCalls(message) : undefined
  // An answer that was a refusal, a call or thinking alone comes back without content.
  const content = readContent(message) ?? (role === 'assistant' ? (message.string('refusal') ?? '') : undefined)
  if (content === undefined) {
    throw invalid(message.path('content'), 'is missing; it must be a string or an array of parts.')
  }
  const reasoning = message.string('reasoning') ?? message.string('reasoning_content')
  const name = message.string('name')
  return {
    role,
    content,
    ...(reasoning === undefined || reasoning === '' ? {} : { reasoning }),
    ...(toolCalls === undefined ? {} : { toolCalls }),
    ...(role === 'tool' ? { toolCallId: message.requiredString('tool_call_id') } : {}),
    ...(name === undefined ? {} : { name }),
  }
}

function readContent(message: Fields): MessageContent | undefined {
  const content = message.raw('content')
  if (content === undefined || typeof content === 'string') return content
  if (!Array.isArray(content)) {
    throw wrongType(message.path('content'), content, 'a string or an array of parts')
  }
  const parts = content.map((part, index) => readPart(Fields.of(part, `${message.path('content')}[${index}]`)))
  return parts.every((part) => part.kind === 'text') ? parts.map(({ text }) => text).join('') : parts
}

function readPart(part: Fields): MessagePart {
  const type = part.requiredString('type')
  switch (type) {
    case 'text':
    case 'input_text':
    case 'output_text':
      return { kind: 'text', text: part.requiredString('text') }
    case 'refusal':
      return { kind: 'text', text: part.requiredString('refusal') }
    case 'image_url': {
      const image = part.requiredObject('image_url')
      return { kind: 'image', url: image.requiredString('url'), ...given({ detail: image.string('detail') }) }
    }
    case 'input_audio': {
      const audio = part.requiredObject('input_audio')
      return { kind: 'audio', data: audio.requiredString('data'), format: audio.requiredString('format') }
    }
    case 'file': {
      const file = part.requiredObject('file')
      const [data, id, name] = [file.string('file_data'), file.string('file_id'), file.string('filename')]
      if (data === undefined && id === undefined) {
        throw invalid(file.path('file_data'), 'is missing; send it, or file_id.')
      }
      return { kind: 'file', ...given({ data, id, name }) }
    }
    case 'thinking':
      return {
        kind: 'thinking',
        text: part.requiredString('thinking'),
        ...given({ signature: part.string('signature') }),
      }
    default:
      throw unsupported(
        part.path('type').replace(/\.type$/, ''),
        `parts of type ${JSON.stringify(type)}; known are text, image_url, input_audio, file, refusal and thinking.`,
      )
  }
}

/** The fields that are there. */
function given<Name extends string>(fields: Readonly<Record<Name, string | undefined>>): Partial<Record<Name, string>> {
  const entries = Object.entries(fields).filter(([, value]) => value !== undefined)
  return Object.fromEntries(entries) as Partial<Record<Name, string>>
}

function readToolCalls(message: Fields): readonly ToolCall[] | undefined {
  const calls = message.array('tool_calls')
  if (calls === undefined || calls.length === 0) return undefined
  return calls.map((call, index) => {
    const fields = Fields.of(call, `${message.path('tool_calls')}[${index}]`)
    const type = fields.string('type') ?? 'function'
    if (type !== 'function') fields.refuse('type', 'only calls of functions are read.')
    const called = fields.requiredObject('function')
    const args = called.raw('arguments')
    return {
      id: fields.requiredString('id'),
      name: called.requiredString('name'),
      // Text in OpenAI's shape; some clients send the object itself.
      arguments:
        typeof args === 'object' && args !== null ? JSON.stringify(args) : (called.string('arguments') ?? '{}'),
    }
  })
}
