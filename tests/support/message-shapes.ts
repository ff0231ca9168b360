import type { ChatMessage, ToolCall } from '../../src/inference/index.ts'

const system = (content: string): ChatMessage => ({ role: 'system', content })
const developer = (content: string): ChatMessage => ({ role: 'developer', content })
const user = (content: string): ChatMessage => ({ role: 'user', content })
const answer = (content: string, ...toolCalls: ToolCall[]): ChatMessage =>
  toolCalls.length === 0 ? { role: 'assistant', content } : { role: 'assistant', content, toolCalls }
const call = (id: string, name: string, args = '{"k": "v"}'): ToolCall => ({ id, name, arguments: args })
const result = (toolCallId: string, content: string): ChatMessage => ({ role: 'tool', toolCallId, content })

/** Orders of messages that OpenAI's API takes. Each `x…x` is a word to find again in the prompt. */
export const messageShapes: Readonly<Record<string, readonly ChatMessage[]>> = {
  'one user message': [user('xUx')],
  turns: [user('xUx'), answer('xAx'), user('xVx')],
  'a system message': [system('xSx'), user('xUx'), answer('xAx'), user('xVx'), answer('xBx'), user('xWx')],
  'a developer message': [developer('xDx'), user('xUx')],
  'two system messages': [system('xSx'), system('xTx'), user('xUx')],
  'system and developer': [system('xSx'), developer('xDx'), user('xUx')],
  'developer and system': [developer('xDx'), system('xSx'), user('xUx')],
  'a system message between turns': [user('xUx'), answer('xAx'), system('xSx'), user('xVx')],
  'a second system message between turns': [system('xSx'), user('xUx'), answer('xAx'), system('xTx'), user('xVx')],
  'a developer message between turns': [system('xSx'), user('xUx'), answer('xAx'), developer('xDx'), user('xVx')],
  'a system message behind the user': [user('xUx'), system('xSx')],
  'a system message between users': [user('xUx'), system('xSx'), user('xVx')],
  'a system message at the end': [system('xSx'), user('xUx'), answer('xAx'), system('xTx')],
  'a system message alone': [system('xSx')],
  'user after user': [user('xUx'), user('xVx')],
  'user after user, later': [user('xUx'), answer('xAx'), user('xVx'), user('xWx')],
  'assistant after assistant': [user('xUx'), answer('xAx'), answer('xBx'), user('xVx')],
  'the assistant first': [answer('xAx'), user('xUx')],
  'the assistant behind the system message': [system('xSx'), answer('xAx'), user('xUx')],
  'the assistant last': [system('xSx'), user('xUx'), answer('xAx')],
  'the assistant alone': [answer('xAx')],
  'a call': [user('xUx'), answer('', call('a', 'xFx', '{"k": "xKx"}')), result('a', 'xRx')],
  'a call and an answer': [user('xUx'), answer('', call('a', 'xFx')), result('a', 'xRx'), answer('xAx'), user('xVx')],
  'text beside a call': [user('xUx'), answer('xAx', call('a', 'xFx')), result('a', 'xRx')],
  'text beside a call, later': [
    system('xSx'),
    user('xUx'),
    answer('xAx', call('a', 'xFx')),
    result('a', 'xRx'),
    answer('xBx'),
    user('xVx'),
  ],
  'two calls': [user('xUx'), answer('', call('a', 'xFx'), call('b', 'xGx')), result('a', 'xRx'), result('b', 'xQx')],
  'two calls with text, results in another order': [
    user('xUx'),
    answer('xAx', call('a', 'xFx'), call('b', 'xGx')),
    result('b', 'xQx'),
    result('a', 'xRx'),
    answer('xBx'),
    user('xVx'),
  ],
  'calls in a row': [
    user('xUx'),
    answer('', call('a', 'xFx')),
    result('a', 'xRx'),
    answer('', call('b', 'xGx')),
    result('b', 'xQx'),
    answer('xAx'),
    user('xVx'),
  ],
  'user after a result': [user('xUx'), answer('', call('a', 'xFx')), result('a', 'xRx'), user('xVx')],
  'users after a result': [user('xUx'), answer('', call('a', 'xFx')), result('a', 'xRx'), user('xVx'), user('xWx')],
  'user after a result, later': [
    user('xUx'),
    answer('', call('a', 'xFx')),
    result('a', 'xRx'),
    user('xVx'),
    answer('xAx'),
    user('xWx'),
  ],
  'a system message after a result': [
    system('xSx'),
    user('xUx'),
    answer('', call('a', 'xFx')),
    result('a', 'xRx'),
    system('xTx'),
  ],
  'empty arguments': [user('xUx'), answer('', call('a', 'xFx', '')), result('a', 'xRx')],
  'arguments that were cut off': [user('xUx'), answer('', call('a', 'xFx', '{"x": "xKx')), result('a', 'xRx')],
  'arguments that are a list': [user('xUx'), answer('', call('a', 'xFx', '["xKx"]')), result('a', 'xRx')],
}
