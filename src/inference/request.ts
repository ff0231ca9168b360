import type { MessageContent } from './message-content.ts'

/**
 * What is asked of an engine, in the language that all rooms share: no protocol's field names, no engine's.
 * A codec in protocol/ makes it, an engine in engine/ or upstream/ consumes it, and nobody changes it in between.
 */
export interface GenerationRequest extends RareSamplers {
  /** Identifier of the HTTP request, for logs, records and the engine's own bookkeeping. */
  readonly id: string
  /** Name of the model as the engine knows it (the client's name is already resolved). */
  readonly model: string
  readonly input: GenerationInput
  /** Independent continuations of the one prompt. ≥ 1. They share its prefill. */
  readonly n: number
  /** Most tokens to generate for each continuation; undefined: as many as the context has room for. */
  readonly maxTokens: number | undefined
  /** Generation ends before any of these texts; the text itself is not emitted. Also where it crosses token borders. */
  readonly stop: readonly string[]
  /** Keep going past the model's end-of-generation tokens: for measurements of fixed length. */
  readonly ignoreEos: boolean
  /** So many tokens are generated before the model, a stop text or a stop token may end it; absent: none. See Engine.extensions. */
  readonly minTokens?: number
  /** Generation ends with any of these tokens; its text is not emitted. Absent: none. See Engine.extensions. */
  readonly stopTokens?: readonly number[]
  readonly sampling: SamplingOptions
  /** Only the prompt's last tokens, so many; `context`: as many as leave room for an answer. Absent: all. See Engine.extensions. */
  readonly truncatePromptTokens?: number | 'context'
  /**
   * Log-probabilities wanted with each generated token: undefined for none, k ≥ 0 for the chosen token and the
   * k most likely ones. Natural log of the softmax over raw logits, before temperature and penalties.
   */
  readonly logprobs: number | undefined
  /** The same for the tokens of the prompt; undefined for none. */
  readonly promptLogprobs: number | undefined
  /** What shape the output must have. */
  readonly constraint: OutputConstraint | undefined
  /** Milliseconds from the start of the engine's work after which it gives up with `deadline_exceeded`. */
  readonly deadlineMs: number | undefined
  /** Hint that requests with equal keys profit from the same replica (shared prefixes). */
  readonly affinityKey: string | undefined
}

export type GenerationInput =
  | { readonly kind: 'chat'; readonly chat: ChatInput }
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'tokens'; readonly tokens: readonly number[] }

export interface ChatInput {
  readonly messages: readonly ChatMessage[]
  readonly tools: readonly ToolDefinition[]
  readonly toolChoice: ToolChoice
  /** Whether one turn may call several tools. */
  readonly parallelToolCalls: boolean
  /** `reasoning_effort` as the client wrote it, for templates that know it. */
  readonly reasoningEffort: string | undefined
  /** Extra variables for the chat template (`chat_template_kwargs`). */
  readonly templateVariables: Readonly<Record<string, unknown>>
  /** Continue the last assistant message instead of opening a new turn. */
  readonly continueFinalMessage: boolean
}

export interface ChatMessage {
  readonly role: 'system' | 'developer' | 'user' | 'assistant' | 'tool'
  readonly content: MessageContent
  /** The model's earlier thinking, when the client sends it back. */
  readonly reasoning?: string
  readonly toolCalls?: readonly ToolCall[]
  /** On role `tool`: which call this answers. */
  readonly toolCallId?: string
  readonly name?: string
}

export interface ToolCall {
  readonly id: string
  readonly name: string
  /** JSON text, as the model wrote it. */
  readonly arguments: string
}

export interface ToolDefinition {
  readonly name: string
  readonly description: string | undefined
  /** JSON Schema of the arguments; undefined: it takes none. */
  readonly parameters: JsonSchema | undefined
  readonly strict: boolean
}

export type ToolChoice =
  | { readonly kind: 'none' }
  | { readonly kind: 'auto' }
  | { readonly kind: 'required' }
  | { readonly kind: 'named'; readonly name: string }

export type JsonSchema = boolean | { readonly [keyword: string]: unknown }

export type OutputConstraint =
  | { readonly kind: 'jsonObject' }
  | { readonly kind: 'jsonSchema'; readonly name: string; readonly schema: JsonSchema; readonly strict: boolean }
  /** A grammar in llama.cpp's GBNF. */
  | { readonly kind: 'grammar'; readonly grammar: string }

/** Samplers that few engines have, each absent where it is off. See Engine.extensions. */
export interface RareSamplers {
  /** Locally typical tokens of this probability in sum. */
  readonly typicalP?: number
  /** How many last tokens `repetitionPenalty` looks at; absent: all. */
  readonly repetitionWindow?: number
  /** Excludes the top choices (all but the least likely above `threshold`) with this probability. */
  readonly xtc?: { readonly probability: number; readonly threshold: number }
  /** Takes multiplier · base^(length − allowedLength) off a token that would go on repeating so long a run. */
  readonly dry?: {
    readonly multiplier: number
    readonly base: number
    readonly allowedLength: number
    /** Tokens to look back; undefined: all. */
    readonly window: number | undefined
    /** Texts that end a run. */
    readonly breakers: readonly string[]
  }
  /** Steers towards a surprise of `tau`, learning at the rate `eta`; in place of the cuts of the tail. */
  readonly mirostat?: { readonly version: 1 | 2; readonly tau: number; readonly eta: number }
}

export interface SamplingOptions {
  /** 0 is greedy. */
  readonly temperature: number
  /** Nucleus: smallest set of tokens with this probability in sum. 1 is off. */
  readonly topP: number
  /** Only the k most likely tokens. 0 is off. */
  readonly topK: number
  /** Only tokens at least this share as likely as the most likely one. 0 is off. */
  readonly minP: number
  /** Subtracted once from the logit of each token already generated. 0 is off. */
  readonly presencePenalty: number
  /** Subtracted per occurrence from the logit of each token already generated. 0 is off. */
  readonly frequencyPenalty: number
  /** Divides positive and multiplies negative logits of tokens already seen. 1 is off. */
  readonly repetitionPenalty: number
  /** Added to the logit of the token with this id. */
  readonly logitBias: ReadonlyMap<number, number>
  /** Equal seeds give equal outputs on the same engine; undefined: a fresh one. */
  readonly seed: number | undefined
}

export interface EmbeddingRequest {
  readonly id: string
  readonly model: string
  /** A text each, or token ids with texts among them. */
  readonly inputs: readonly (string | readonly (string | number)[])[]
  /** Length to cut the vectors to, where the model is trained for it. */
  readonly dimensions: number | undefined
}

export interface RerankRequest {
  readonly id: string
  readonly model: string
  readonly query: string
  readonly documents: readonly string[]
}
