import type { RequestExtension } from './extensions.ts'
import type { GenerationEvent } from './event.ts'
import type { RelayOperation, RelayRequest, RelaySink } from './relay.ts'
import type { ChatInput, EmbeddingRequest, GenerationRequest, RerankRequest } from './request.ts'

/**
 * Whatever turns a request into tokens: the embedded engine, or a remote one behind an adapter. One contract
 * suite (tests/contract/engine.ts) runs over all of them.
 *
 * Every method that waits takes an AbortSignal. Aborting frees what the request holds (a sequence and its KV
 * cells, an upstream connection) within one step, and makes the call throw `cancelled`.
 */
export interface Engine {
  /** Address or name of this replica, as metrics and records label it: `embedded:nano`, `http://10.0.0.7:8000`. */
  readonly endpoint: string
  /** Equal for equal model, build and settings: answers are comparable as long as it is the same. Absent: unknown. */
  readonly fingerprint?: string
  /** What it honours of a request's fields that not every engine knows. Absent: none, and requests that set them are refused. */
  readonly extensions?: ReadonlySet<RequestExtension>
  /** It serves nothing before it has loaded a model here. Absent: a remote engine, which comes and goes by itself. */
  readonly loadsModel?: boolean
  /** The models this engine serves, by the names that GenerationRequest.model takes. */
  models(): readonly EngineModel[]
  /** Can it take a request now, and how busy is it? Cheap: never waits, never contacts anybody. */
  status(): EngineStatus
  /** Ready once the model is loaded; throws what went wrong while loading. */
  ready(signal: AbortSignal): Promise<void>
  /**
   * Generates. Nothing happens before the first `next()`. Leaving the loop early (`return()`) cancels the request.
   * Throws TokenmillError: `invalid_request`, `unsupported`, `context_length_exceeded`, `deadline_exceeded`,
   * `cancelled`, `engine_failed`, `upstream_failed`, `upstream_timeout`, `unavailable`.
   */
  generate(request: GenerationRequest, signal: AbortSignal): AsyncIterable<GenerationEvent>
  /** Can this operation be relayed as bytes, now? Absent where the engine speaks no client's protocol. */
  relays?(operation: RelayOperation): boolean
  /**
   * Sends bytes and hands the answer's bytes to the sink. Resolves once the answer is complete; an answer cut
   * short rejects. Errors are those of `generate`, from the upstream's status and body, before `sink.begin`.
   */
  relay?(request: RelayRequest, sink: RelaySink, signal: AbortSignal): Promise<void>
  /** Token ids of a text or of a rendered chat, as `generate` would count them. */
  tokenize?(model: string, input: TokenizeInput, signal: AbortSignal): Promise<readonly number[]>
  detokenize?(model: string, tokens: readonly number[], signal: AbortSignal): Promise<string>
  embed?(request: EmbeddingRequest, signal: AbortSignal): Promise<EmbeddingResult>
  rerank?(request: RerankRequest, signal: AbortSignal): Promise<RerankResult>
  /** Ends everything that runs (as `cancelled`) and frees all resources. Idempotent. */
  close(): Promise<void>
}

export type TokenizeInput =
  | { readonly kind: 'chat'; readonly chat: ChatInput }
  | { readonly kind: 'text'; readonly text: string; readonly addSpecialTokens: boolean }

export interface EngineModel {
  readonly name: string
  /** The base model of an adapter (LoRA); undefined for a base model. */
  readonly parent: string | undefined
  /** Most tokens of prompt and output together in one sequence; undefined where the engine does not say. */
  readonly contextTokens: number | undefined
  /** File or repository it comes from. */
  readonly root: string
}

export interface EngineStatus {
  /** Why it is `unavailable`, in words, where that is known. */
  readonly reason?: string | undefined
  readonly state: 'loading' | 'ready' | 'restarting' | 'unloaded' | 'unavailable' | 'closed'
  /** 0 to 1 while loading. */
  readonly loadProgress: number
  /** Sequences that are decoded now. */
  readonly running: number
  /** Requests accepted by the engine that wait for a place in its batch. */
  readonly waiting: number
  /** Share of KV cells in use by running sequences, 0 to 1; undefined where unknown. */
  readonly kvCacheUsage: number | undefined
  /** Totals since start, in tokens: looked up in the prefix cache, and found there; undefined where unknown. */
  readonly prefixCache: { readonly queries: number; readonly hits: number } | undefined
  readonly preemptions: number | undefined
  /** Most sequences that it decodes at once; undefined or absent where unknown. Admission takes it as capacity. */
  readonly maxRunning?: number | undefined
  /** KV cells in all, in tokens; undefined or absent where unknown. */
  readonly kvCells?: number | undefined
  /** Age of these figures in milliseconds, where they come by polling; undefined: they are of this moment. */
  readonly ageMs?: number | undefined
}

export interface EmbeddingResult {
  /** One vector per input, of equal length, unit Euclidean norm. */
  readonly vectors: readonly Float32Array[]
  readonly promptTokens: number
}

export interface RerankResult {
  /** One relevance score per document, in the documents' order; higher is more relevant. */
  readonly scores: readonly number[]
  readonly promptTokens: number
}
