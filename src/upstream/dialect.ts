import type { GenerationRequest, MessagePart, RelayOperation, RequestExtension } from '../inference/index.ts'
import type { EngineKind } from './endpoint.ts'

/** What an engine tells of itself on its metrics page. Undefined: it does not say. */
export interface EngineLoad {
  readonly running: number | undefined
  readonly waiting: number | undefined
  /** 0 to 1. */
  readonly kvCacheUsage: number | undefined
  readonly prefixCache: { readonly queries: number; readonly hits: number } | undefined
  readonly preemptions: number | undefined
  /** When its process started, in seconds since the Unix epoch; absent where the page does not say. */
  readonly startedAt?: number | undefined
}

/**
 * The particulars of one kind of engine behind the OpenAI paths. One file each in dialects/; what all have in
 * common stands in openai-engine.ts.
 */
export interface Dialect {
  readonly kind: Exclude<EngineKind, 'auto'>
  /** Paths by operation. What is not listed is never asked for. */
  readonly paths: Readonly<Partial<Record<RelayOperation, string>>>
  /** Asked for health; undefined where there is nothing cheap to ask: then only traffic tells. */
  readonly healthPath: string | undefined
  /** Health costs the engine work, so it is asked this seldom. */
  readonly healthIntervalMs?: number
  /** Pages asked for load, in order, until one answers. */
  readonly metricsPaths: readonly string[]
  /** A model that is not in its list of models is not served: true of engines, not of providers with partial lists. */
  readonly listsAll?: true
  /** Reads a page; undefined where it is not what was expected. */
  readLoad(page: Buffer): EngineLoad | undefined
  /**
   * Fields of the body that continue the last assistant message instead of opening a new turn; undefined where the
   * engine cannot.
   */
  readonly continuation: Readonly<Record<string, unknown>> | undefined
  /** It can put the usage so far on every chunk: then prompt and tokens are known exactly, from the first on. */
  readonly continuousUsage: boolean
  /** The order of `priority` values; undefined where the engine has none. */
  readonly priorityOrder: 'lowerFirst' | 'higherFirst' | undefined
  /** Fields that it takes under vLLM's names, of those that few engines know. The others are refused, see Engine.extensions. */
  readonly extensions: ReadonlySet<RequestExtension>
  /** Fields beyond OpenAI's own that the request needs. Throws `unsupported` for what the engine cannot honour. */
  extras(request: GenerationRequest): Record<string, unknown>
  /** Parts of messages that it takes in OpenAI's form, beside text. The others are refused by name. */
  readonly parts: readonly MessagePart['kind'][]
  /** Names under which an earlier turn's thinking is sent back; empty where the engine would refuse the field. */
  readonly reasoningFields: readonly string[]
  readonly maxTokensField: 'max_tokens' | 'max_completion_tokens'
  readonly tokenizer: TokenizerDialect | undefined
}

/** How texts become token ids by HTTP. */
export interface TokenizerDialect {
  tokenizeText(model: string, text: string, addSpecialTokens: boolean): unknown
  detokenize(model: string, tokens: readonly number[]): unknown
  /** Key of the text in the answer to detokenize. */
  readonly textField: string
  /** Chats: a body for the tokenize path itself, or a path that renders the template to text first. */
  readonly chat: 'messages' | { readonly renderPath: string }
}

export const noLoad: EngineLoad = {
  running: undefined,
  waiting: undefined,
  kvCacheUsage: undefined,
  prefixCache: undefined,
  preemptions: undefined,
}
