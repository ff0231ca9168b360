import type { TokenizeInput } from '../../inference/index.ts'
import { engineMethod } from '../engine-method.ts'
import { invalid, type Fields } from '../fields.ts'
import type { ProtocolLimits } from '../limits.ts'
import type { EngineCall } from '../protocol.ts'
import { readChatInput } from './chat-request.ts'
import { readTokens } from './token-ids.ts'

/** Reads the body of POST /tokenize: in vLLM's shape a text (`prompt`) or a chat (`messages`), in llama-server's `content`. */
export function parseTokenizeCall(body: Fields, limits: ProtocolLimits): EngineCall {
  const model = body.string('model')
  const tokenTexts = body.boolean('return_token_strs') ?? false
  const input = readInput(body, limits)
  return {
    model,
    async answer(target, signal) {
      const { engineModel, contextTokens } = target
      const tokens = await engineMethod(target, 'tokenize')(engineModel, input, signal)
      const detokenize = tokenTexts ? engineMethod(target, 'detokenize') : undefined
      const texts =
        detokenize === undefined
          ? null
          : await Promise.all(tokens.map((token) => detokenize(engineModel, [token], signal)))
      const body = { count: tokens.length, max_model_len: contextTokens ?? null, tokens, token_strs: texts }
      return { body, promptTokens: 0 }
    },
  }
}

function readInput(body: Fields, limits: ProtocolLimits): TokenizeInput {
  if (body.has('messages')) return { kind: 'chat', chat: readChatInput(body, limits) }
  const content = body.string('content')
  if (content !== undefined) {
    return { kind: 'text', text: content, addSpecialTokens: body.boolean('add_special') ?? false }
  }
  const text = body.string('prompt')
  if (text === undefined) throw invalid('prompt', 'is missing; send a string as prompt, or a chat as messages.')
  return { kind: 'text', text, addSpecialTokens: body.boolean('add_special_tokens') ?? true }
}

/** Reads the body of POST /detokenize. */
export function parseDetokenizeCall(body: Fields): EngineCall {
  const tokens = readTokens(body.requiredArray('tokens'), 'tokens')
  return {
    model: body.string('model'),
    async answer(target, signal) {
      const prompt = await engineMethod(target, 'detokenize')(target.engineModel, tokens, signal)
      // vLLM's name and llama-server's.
      return { body: { prompt, content: prompt }, promptTokens: 0 }
    },
  }
}
