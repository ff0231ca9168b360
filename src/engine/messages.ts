/**
 * What crosses the border between the server's process and an engine's process. What steps tell comes back in messages
 * of one step or, where steps are short, of several.
 * Structured clones (`serialization: 'advanced'`): typed arrays and infinities survive.
 */
import type { ErrorCode, ErrorDetails } from '../core/index.ts'
import type { EmbeddingRequest, RareSamplers } from '../inference/index.ts'
import type { ModelPurpose } from '../model/index.ts'
import type { TokenLogprob } from '../inference/index.ts'
import type { Trigger } from './grammar/index.ts'

/** How to load a model; the first message to a child. */
export interface LoadSpec {
  readonly modelPath: string
  readonly purpose: ModelPurpose
  /** The model's adapters; requests name them by their place here, from 1. */
  readonly adapters: readonly AdapterSpec[]
  /** Folder of the shared libraries. */
  readonly libraryFolder: string
  /** Context of each slot; undefined, as `ctxTotal` is: decided from the model and the memory there is. */
  readonly ctx: number | undefined
  /** KV cells in all; goes before `ctx`. */
  readonly ctxTotal: number | undefined
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
      /** Whether the vocabulary's own begin token is added. */
      readonly addSpecial: boolean
      /** Where no special token may come of the text, since a client of a chat wrote it. As in RenderedChat. */
      readonly inputRanges: readonly number[]
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
      readonly inputRanges: readonly number[]
    }
  | { readonly type: 'detokenize'; readonly call: number; readonly tokens: readonly number[] }
  | {
      readonly type: 'embed'
      readonly call: number
      readonly adapter: number
      readonly inputs: EmbeddingRequest['inputs']
    }
  | {
      readonly type: 'rank'
      readonly call: number
      readonly adapter: number
      readonly query: string
      readonly documents: readonly string[]
    }

/** A generation, all decided, before its texts are tokens. */
export interface JobRequest {
  /** Chosen by the parent, unique among the requests in flight. */
  readonly key: number
  /** Which of the model's adapters computes it: its place in the load's list, from 1; 0: the model as it is. */
  readonly adapter: number
  readonly n: number
  /** Undefined: as many as the context has room for. */
  readonly maxTokens: number | undefined
  /** The client's stop texts. */
  readonly stop: readonly string[]
  /** Where they do not count. */
  readonly quiet: QuietMarks | undefined
  readonly ignoreEos: boolean
  /** Neither an end of generation nor a stop ends the first so many tokens. */
  readonly minTokens: number
  /** The request's own ends. */
  readonly stopTokens: readonly number[]
  readonly logprobs: number | undefined
  readonly promptLogprobs: number | undefined
  /** As in GenerationRequest. */
  readonly truncatePromptTokens: number | 'context' | undefined
  readonly deadlineMs: number | undefined
  /** Control tokens that appear in the text all the same: a chat's output parser wants to see them. */
  readonly shownTexts: readonly string[]
  /** The template's ends of a turn: texts, or control tokens of that text. */
  readonly turnEndTexts: readonly string[]
  /** Continuation i draws with `seed + i`. */
  readonly sampling: JobSampling
}

/** Marks around what is no content: thinking, or all that comes before a final message. */
export interface QuietMarks {
  readonly open: string
  readonly close: string
  /** The text begins inside them. */
  readonly opened: boolean
}

/** What decides which token follows. Fields as in inference's SamplingOptions. */
export interface JobSampling extends RareSamplers {
  readonly temperature: number
  readonly topP: number
  readonly topK: number
  readonly minP: number
  readonly presencePenalty: number
  readonly frequencyPenalty: number
  readonly repetitionPenalty: number
  readonly logitBias: readonly (readonly [token: number, bias: number])[]
  /** Unsigned 32 bits. */
  readonly seed: number
  readonly grammar: GrammarSpec | undefined
}

/** A grammar in llama.cpp's GBNF, binding from the first token, or from behind the trigger's text on. */
export interface GrammarSpec {
  readonly gbnf: string
  readonly root: string
  readonly trigger: Trigger | undefined
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

export type CallValue = Int32Array | string | EmbeddingReply | RankReply

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
  /** Of the vocabulary's longest token. */
  readonly longestTokenBytes: number
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

/** One token's log-probability and the k most likely ones. */
export interface RowLogprobs {
  readonly token: TokenLogprob
  readonly top: readonly TokenLogprob[]
}

/** What the loop tells about one request. `key` as in its JobRequest. */
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
