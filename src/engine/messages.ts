/**
 * What crosses the border between the server's process and an engine's process. What steps tell comes back in messages
 * of one step or, where steps are short, of several.
 * Structured clones (`serialization: 'advanced'`): typed arrays and infinities survive.
 */
import type { ErrorCode, ErrorDetails } from '../core/index.ts'
import type { ModelPurpose } from '../model/index.ts'
import type { RowLogprobs } from './logprobs.ts'
import type { Job } from './sequence.ts'

/** How to load a model; the first message to a child. */
export interface LoadSpec {
  readonly modelPath: string
  readonly purpose: ModelPurpose
  /** The model's adapters; requests name them by their place here, from 1. */
  readonly adapters: readonly AdapterSpec[]
  /** Folder of the shared libraries. */
  readonly libraryFolder: string
  /** KV cells in all; undefined: decided from the model and the memory there is. */
  readonly ctx: number | undefined
  readonly slots: number
  readonly kvLayout: 'streams' | 'unified'
  readonly rowPadding: 'auto' | 'on' | 'off'
  readonly kvType: 'f16' | 'q8_0' | 'q4_0'
  /** Undefined: decided by the model's size. */
  readonly threads: number | undefined
  /** Cores this engine may use, its share of the CPU quota. */
  readonly cores: number
  readonly gpuLayers: number | undefined
  readonly flashAttn: 'auto' | 'on' | 'off'
  readonly stepTargetMs: number | undefined
  readonly longestStepMs: number
  readonly streamIntervalMs: number
  readonly samplingCandidates: number
  readonly maxEmbeddingTokens: number
}

/** A LoRA adapter in a GGUF file. */
export interface AdapterSpec {
  readonly path: string
  /** Factor on what it adds to the weights; 1: as it was trained. */
  readonly scale: number
}

export type PromptInput =
  | {
      readonly kind: 'text'
      readonly text: string
      /** Whether the vocabulary's own tokens (BOS) are added. */
      readonly addSpecial: boolean
      /** Whether texts of special tokens become those tokens: in rendered chats, never in a client's plain text. */
      readonly parseSpecial: boolean
    }
  | { readonly kind: 'tokens'; readonly tokens: readonly number[] }

export type ToChild =
  | { readonly type: 'load'; readonly spec: LoadSpec }
  | { readonly type: 'submit'; readonly job: JobRequest; readonly input: PromptInput }
  | { readonly type: 'cancel'; readonly key: number }
  | {
      readonly type: 'tokenize'
      readonly call: number
      readonly text: string
      readonly addSpecial: boolean
      readonly parseSpecial: boolean
    }
  | { readonly type: 'detokenize'; readonly call: number; readonly tokens: readonly number[] }
  | {
      readonly type: 'embed'
      readonly call: number
      readonly adapter: number
      readonly inputs: readonly (string | readonly number[])[]
    }
  | {
      readonly type: 'rank'
      readonly call: number
      readonly adapter: number
      readonly query: string
      readonly documents: readonly string[]
    }

/** A job before its texts are tokens. */
export interface JobRequest extends Omit<Job, 'prompt' | 'shownTokens' | 'turnEndTokens'> {
  readonly shownTexts: readonly string[]
  readonly turnEndTexts: readonly string[]
}

export type FromChild =
  | { readonly type: 'progress'; readonly progress: number }
  | { readonly type: 'loaded'; readonly model: LoadedModelInfo }
  | { readonly type: 'loadFailed'; readonly message: string }
  | { readonly type: 'step'; readonly events: readonly LoopEvent[]; readonly status: LoopStatus }
  | { readonly type: 'reply'; readonly call: number; readonly value: CallValue }
  | {
      readonly type: 'replyFailed'
      readonly call: number
      readonly code: ErrorCode
      readonly message: string
      readonly details?: ErrorDetails
    }

export type CallValue = readonly number[] | string | EmbeddingReply | RankReply

export interface RankReply {
  /** By document; 0 to 1. */
  readonly scores: readonly number[]
  readonly tokens: number
}

export interface EmbeddingReply {
  readonly vectors: readonly Float32Array[]
  readonly tokens: number
}

export interface LoadedModelInfo {
  /** Most tokens of one sequence. */
  readonly contextTokens: number
  /** KV cells in all. */
  readonly cells: number
  readonly vocabulary: number
  readonly threads: number
  readonly parameters: number
  readonly bytes: number
}

export interface LoopStatus {
  readonly running: number
  readonly waiting: number
  /** KV cells that running sequences use. */
  readonly kvCells: number
  readonly prefixQueries: number
  readonly prefixHits: number
  readonly preemptions: number
  readonly steps: number
}

/** What the loop tells about one request. `key` as in its Job. */
export type LoopEvent =
  | {
      readonly type: 'prefilled'
      readonly key: number
      readonly promptTokens: number
      readonly cachedTokens: number
      readonly promptLogprobs: readonly RowLogprobs[] | undefined
    }
  | {
      readonly type: 'output'
      readonly key: number
      readonly index: number
      readonly text: string
      readonly tokens: number
      readonly logprobs: readonly RowLogprobs[] | undefined
    }
  | {
      readonly type: 'finished'
      readonly key: number
      readonly index: number
      readonly reason: 'stop' | 'length'
      /** The stop text or the stop token that ended it. */
      readonly stopReason: string | number | undefined
      /** The request's last continuation: nothing follows. */
      readonly last: boolean
    }
  | {
      readonly type: 'failed'
      readonly key: number
      readonly code: ErrorCode
      readonly message: string
      readonly details: ErrorDetails
    }
