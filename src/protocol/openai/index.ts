import { AnswerTap } from '../bytes/answer-tap.ts'
import { rewriteRequest, scanRequest } from '../bytes/request-scan.ts'
import { readSaid } from '../bytes/said.ts'
import { StreamTap } from '../bytes/stream-tap.ts'
import { toErrorReply } from '../errors.ts'
import type { Protocol } from '../protocol.ts'
import { parseChatCall } from './chat-request.ts'
import { parseCompletionCall } from './completion-request.ts'
import { parseEmbeddingCall } from './embeddings.ts'
import { openAiFraming } from './framing.ts'
import { parseRerankCall } from './rerank.ts'
import { parseDetokenizeCall, parseTokenizeCall } from './tokenize.ts'

/** OpenAI's API, with the endpoints that vLLM, Jina and Cohere added to it. */
export const openAi: Protocol = {
  name: 'openai',
  operations: [
    {
      kind: 'generation',
      paths: ['/v1/chat/completions'],
      operation: 'chat',
      idPrefix: 'chatcmpl',
      parse: parseChatCall,
    },
    {
      kind: 'generation',
      paths: ['/v1/completions'],
      operation: 'completion',
      idPrefix: 'cmpl',
      parse: parseCompletionCall,
    },
    {
      kind: 'call',
      paths: ['/v1/embeddings'],
      operation: 'embedding',
      idPrefix: 'embd',
      relayed: true,
      sequences: 1,
      parse: parseEmbeddingCall,
    },
    {
      kind: 'call',
      paths: ['/v1/rerank', '/rerank'],
      operation: 'rerank',
      idPrefix: 'rerank',
      relayed: true,
      sequences: 1,
      parse: parseRerankCall,
    },
    {
      kind: 'call',
      paths: ['/tokenize'],
      operation: 'tokenize',
      idPrefix: 'tok',
      relayed: false,
      sequences: 0,
      parse: parseTokenizeCall,
    },
    {
      kind: 'call',
      paths: ['/detokenize'],
      operation: 'detokenize',
      idPrefix: 'detok',
      relayed: false,
      sequences: 0,
      parse: parseDetokenizeCall,
    },
  ],
  errorReply: toErrorReply,
  framing: openAiFraming,
  bytes: {
    scan: scanRequest,
    rewrite: rewriteRequest,
    streamTap: (options) => new StreamTap(options),
    answerTap: (options) => new AnswerTap(options),
    readSaid,
  },
}
