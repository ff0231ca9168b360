import type { TokenizeInput } from '../../inference/index.ts'
import { invalid, type Fields } from '../fields.ts'
import type { ProtocolLimits } from '../limits.ts'
import { readChatInput } from './chat-request.ts'
import { readTokens } from './token-ids.ts'

/** POST /tokenize in vLLM's shape: a text (`prompt`) or a chat (`messages`). */
export interface TokenizeCall {
  readonly model: string | undefined
  readonly input: TokenizeInput
  /** Also answer with the text of each token. */
  readonly tokenTexts: boolean
}

export function parseTokenizeCall(body: Fields, limits: ProtocolLimits): TokenizeCall {
  const model = body.string('model')
  const tokenTexts = body.boolean('return_token_strs') ?? false
  if (body.has('messages')) {
    return { model, tokenTexts, input: { kind: 'chat', chat: readChatInput(body, limits) } }
  }
  const text = body.string('prompt')
  if (text === undefined) throw invalid('prompt', 'is missing; send a string as prompt, or a chat as messages.')
  const addSpecialTokens = body.boolean('add_special_tokens') ?? true
  return { model, tokenTexts, input: { kind: 'text', text, addSpecialTokens } }
}

export function toTokenizeAnswer(
  tokens: readonly number[],
  contextTokens: number | undefined,
  texts: readonly string[] | undefined,
): object {
  return { count: tokens.length, max_model_len: contextTokens ?? null, tokens, token_strs: texts ?? null }
}

export interface DetokenizeCall {
  readonly model: string | undefined
  readonly tokens: readonly number[]
}

export function parseDetokenizeCall(body: Fields): DetokenizeCall {
  return { model: body.string('model'), tokens: readTokens(body.requiredArray('tokens'), 'tokens') }
}
