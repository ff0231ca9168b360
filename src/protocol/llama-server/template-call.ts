import { engineMethod } from '../engine-method.ts'
import type { Fields } from '../fields.ts'
import type { ProtocolLimits } from '../limits.ts'
import { readChatInput } from '../openai/chat-request.ts'
import type { EngineCall } from '../protocol.ts'

/** Reads the body of POST /apply-template: answers with the prompt of a chat, as the text of its tokens. */
export function parseTemplateCall(body: Fields, limits: ProtocolLimits): EngineCall {
  const chat = readChatInput(body, limits)
  return {
    model: body.string('model'),
    async answer(target, signal) {
      const tokens = await engineMethod(target, 'tokenize')(target.engineModel, { kind: 'chat', chat }, signal)
      const prompt = await engineMethod(target, 'detokenize')(target.engineModel, tokens, signal)
      return { body: { prompt }, promptTokens: 0 }
    },
  }
}
