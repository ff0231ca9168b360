export type { EmbeddingResult, Engine, EngineModel, EngineStatus, RerankResult, TokenizeInput } from './engine.ts'
export type {
  FinishedEvent,
  GenerationEvent,
  PrefilledEvent,
  ReasoningEvent,
  TextEvent,
  TokenLogprob,
  TokenLogprobs,
  TokenUsage,
  ToolCallEvent,
  UsageEvent,
} from './event.ts'
export {
  allExtensions,
  extensionFields,
  extensionNames,
  extensionsOf,
  vllmExtensions,
  type RequestExtension,
} from './extensions.ts'
export {
  appendText,
  requireParts,
  textOf,
  toTextMessages,
  withReasoning,
  type MessageContent,
  type MessagePart,
  type TextMessage,
} from './message-content.ts'
export { outcomeOf, type FinishReason, type Outcome } from './outcome.ts'
export type { RelayFlow, RelayHead, RelayOperation, RelayRequest, RelaySink } from './relay.ts'
export type {
  ChatInput,
  ChatMessage,
  EmbeddingRequest,
  GenerationInput,
  GenerationRequest,
  JsonSchema,
  OutputConstraint,
  RareSamplers,
  RerankRequest,
  SamplingOptions,
  ToolCall,
  ToolChoice,
  ToolDefinition,
} from './request.ts'
export type { UsageRecord, UsageSink } from './usage-record.ts'
export type { StepBatch, StepModel } from './step-model.ts'
export { StopMatcher } from './stop-matcher.ts'
