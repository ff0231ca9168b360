export { AnswerTap, type AnswerTapOptions } from './bytes/answer-tap.ts'
export { relayEncoder } from './bytes/relay-encoder.ts'
export { rewriteRequest, scanRequest, type RequestScan } from './bytes/request-scan.ts'
export { readSaid, type Said } from './bytes/said.ts'
export { StreamTap, type StreamTapOptions } from './bytes/stream-tap.ts'
export { readRetryAfterMs, streamError, upstreamError } from './bytes/upstream-error.ts'
export { readUsage } from './bytes/usage-value.ts'
export { toErrorReply, type ErrorReply, type OpenAiErrorBody } from './errors.ts'
export { Fields } from './fields.ts'
export type { AnswerIdentity, GenerationCall, GenerationDraft, GenerationEncoder } from './generation-call.ts'
export { parseJsonBody } from './json-body.ts'
export type { ProtocolLimits } from './limits.ts'
export { parseChatCall } from './openai/chat-request.ts'
export { parseCompletionCall } from './openai/completion-request.ts'
export { parseEmbeddingCall, toEmbeddingAnswer, type EmbeddingCall } from './openai/embeddings.ts'
export { toFinishReason } from './openai/finish-reason.ts'
export { toOpenAiModel, type ListedModel } from './openai/models.ts'
export { parseRerankCall, toRerankAnswer, type RerankCall } from './openai/rerank.ts'
export {
  parseDetokenizeCall,
  parseTokenizeCall,
  toTokenizeAnswer,
  type DetokenizeCall,
  type TokenizeCall,
} from './openai/tokenize.ts'
export { SseReader, type SseEvent, type SseReaderOptions } from './sse-reader.ts'
