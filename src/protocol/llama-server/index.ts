import { toErrorReply } from '../errors.ts'
import { openAiFraming } from '../openai/framing.ts'
import { parseChatCall } from '../openai/chat-request.ts'
import type { Protocol } from '../protocol.ts'
import { parseNativeCompletion } from './completion-request.ts'
import { parseNativeEmbedding } from './embedding.ts'
import { parseTemplateCall } from './template-call.ts'

/**
 * The paths of llama-server that are its own, for clients written for it. Its OpenAI paths are those of openai/, and so are
 * `/tokenize` and `/detokenize`, which take its fields, too.
 */
export const llamaServer: Protocol = {
  name: 'llama-server',
  operations: [
    {
      kind: 'generation',
      paths: ['/completion', '/completions'],
      operation: 'completion',
      idPrefix: 'cmpl',
      parse: parseNativeCompletion,
    },
    { kind: 'generation', paths: ['/chat/completions'], operation: 'chat', idPrefix: 'chatcmpl', parse: parseChatCall },
    {
      kind: 'call',
      paths: ['/embedding', '/embeddings'],
      operation: 'embedding',
      idPrefix: 'embd',
      relayed: false,
      sequences: 1,
      parse: parseNativeEmbedding,
    },
    {
      kind: 'call',
      paths: ['/apply-template'],
      operation: 'tokenize',
      idPrefix: 'tmpl',
      relayed: false,
      sequences: 0,
      parse: parseTemplateCall,
    },
  ],
  errorReply: toErrorReply,
  framing: openAiFraming,
}
