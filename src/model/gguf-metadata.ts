import type { ChatFormatSource } from './chat-format.ts'
import {
  readGgufHeader,
  readGgufStrings,
  type GgufFileHeader,
  type GgufMetadataScalar,
  type GgufMetadataValue,
} from './gguf-reader.ts'

/** What a GGUF file says of its model: read from the header alone, in milliseconds, without loading a weight. */
export interface GgufMetadata {
  readonly header: GgufFileHeader
  /** `llama`, `qwen2`, …; empty where the file does not say. */
  readonly architecture: string
  /** `general.name`; undefined where the file does not say. */
  readonly name: string | undefined
  /** Tokens that the model was trained for in one sequence; undefined where the file does not say. */
  readonly contextTokens: number | undefined
  readonly vocabularyTokens: number | undefined
  /** As the keys of its architecture say; undefined where they do not. Per-layer lists give their largest value. */
  readonly shape: GgufShape
  /** Weights over all tensors of this file. */
  readonly parameters: number
  /** Number of this shard and of all; 1 of 1 for a whole file. */
  readonly shard: { readonly index: number; readonly count: number }
  readonly chat: ChatFormatSource
  readonly purpose: ModelPurpose
}

/** What a file is made for: text, vectors of texts, the relevance of documents to a query, or to change another model. */
export type ModelPurpose = 'generate' | 'embed' | 'rank' | 'adapt'

export interface GgufShape {
  readonly layers: number | undefined
  readonly embeddingLength: number | undefined
  readonly feedForwardLength: number | undefined
  readonly heads: number | undefined
  readonly kvHeads: number | undefined
  /** Elements of one head's key and value. */
  readonly keyLength: number | undefined
  readonly valueLength: number | undefined
  readonly experts: number | undefined
  readonly expertsUsed: number | undefined
  /** Tokens that attention looks back, where the model has a window. */
  readonly slidingWindow: number | undefined
}

/** Reads a GGUF file's header. Throws `startup` naming file and fault, or `limit_exceeded`; never trusts a count. */
export function readGgufMetadata(path: string): GgufMetadata {
  const header = readGgufHeader(path)
  const { metadata } = header
  const architecture = text(metadata.get('general.architecture')) ?? ''
  const own = (key: string): number | undefined => largest(metadata.get(`${architecture}.${key}`))
  const heads = own('attention.head_count')
  const embeddingLength = own('embedding_length')
  const headLength = heads === undefined || embeddingLength === undefined ? undefined : embeddingLength / heads
  return {
    header,
    architecture,
    name: text(metadata.get('general.name')),
    contextTokens: own('context_length'),
    vocabularyTokens: own('vocab_size') ?? lengthOf(metadata.get('tokenizer.ggml.tokens')),
    shape: {
      layers: own('block_count'),
      embeddingLength,
      feedForwardLength: own('feed_forward_length'),
      heads,
      kvHeads: own('attention.head_count_kv') ?? heads,
      keyLength: own('attention.key_length') ?? headLength,
      valueLength: own('attention.value_length') ?? headLength,
      experts: own('expert_count'),
      expertsUsed: own('expert_used_count'),
      slidingWindow: own('attention.sliding_window'),
    },
    parameters: header.tensors.reduce((sum, { shape }) => sum + shape.reduce((product, size) => product * size, 1), 0),
    shard: {
      index: (largest(metadata.get('split.no')) ?? 0) + 1,
      count: Math.max(1, largest(metadata.get('split.count')) ?? 1),
    },
    chat: readChatSource(header),
    purpose: purposeOf(header, architecture),
  }
}

/** `enum llama_pooling_type` of llama.h: mean, first token, last token; and the head of a reranker. */
const poolsTokens: ReadonlySet<unknown> = new Set([1, 2, 3])
const poolsByRank = 4

function purposeOf({ metadata, tensors }: GgufFileHeader, architecture: string): ModelPurpose {
  if (metadata.get('general.type') === 'adapter') return 'adapt'
  // Rerankers converted before that key existed have their head all the same.
  const pooling = metadata.get(`${architecture}.pooling_type`)
  if (pooling === poolsByRank || tensors.some(({ name }) => /^cls\.(output\.)?weight$/.test(name))) return 'rank'
  const encodes = metadata.get(`${architecture}.attention.causal`) === false || poolsTokens.has(pooling)
  return encodes ? 'embed' : 'generate'
}

function readChatSource(header: GgufFileHeader): ChatFormatSource {
  const { metadata, path } = header
  const bosId = largest(metadata.get('tokenizer.ggml.bos_token_id'))
  const eosId = largest(metadata.get('tokenizer.ggml.eos_token_id'))
  const tokens = metadata.get('tokenizer.ggml.tokens')
  const texts = stringsAt(path, tokens, new Set([bosId, eosId].filter((id) => id !== undefined)))
  return {
    chatTemplate: text(metadata.get('tokenizer.chat_template')),
    toolTemplate: text(metadata.get('tokenizer.chat_template.tool_use')),
    bosToken: bosId === undefined ? undefined : texts.get(bosId),
    eosToken: eosId === undefined ? undefined : texts.get(eosId),
  }
}

function stringsAt(
  path: string,
  value: GgufMetadataValue | undefined,
  ids: ReadonlySet<number>,
): ReadonlyMap<number, string> {
  if (Array.isArray(value)) {
    return new Map([...ids].map((id) => [id, String((value as readonly GgufMetadataScalar[])[id] ?? '')]))
  }
  return typeof value === 'object' && 'offset' in value ? readGgufStrings(path, value, ids) : new Map()
}

function text(value: GgufMetadataValue | undefined): string | undefined {
  return typeof value === 'string' ? value : undefined
}

function largest(value: GgufMetadataValue | undefined): number | undefined {
  if (typeof value === 'number') return value
  if (!Array.isArray(value)) return undefined
  const numbers = value.filter((element) => typeof element === 'number')
  return numbers.length === 0 ? undefined : Math.max(...numbers)
}

function lengthOf(value: GgufMetadataValue | undefined): number | undefined {
  return typeof value === 'object' ? value.length : undefined
}
