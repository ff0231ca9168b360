import { limitError, TokenmillError, toTokenmillError } from '../../core/index.ts'
import type { ModelPurpose } from '../../model/index.ts'
import type { EmbeddingReply, FromChild, RankReply, ToChild } from '../messages.ts'
import type { LlamaAdapter } from './native/llama-adapter.ts'
import { LlamaEmbedder } from './native/llama-embedder.ts'
import { rankTemplateOf, type LlamaModel } from './native/llama-model.ts'
import type { LlamaVocabulary } from './native/llama-vocabulary.ts'
import { createRankPrompt, type RankPrompt } from './rank-prompt.ts'
import { checkToken } from './token-check.ts'

export type EncodingCall = Extract<ToChild, { type: 'embed' | 'rank' }>

/** A call whose inputs are computed batch by batch. */
interface PendingCall {
  readonly call: number
  readonly adapter: number
  readonly sequences: readonly Int32Array[]
  readonly vectors: Float32Array[]
  finish(vectors: readonly Float32Array[]): EmbeddingReply | RankReply
}

/**
 * Vectors and ranks of texts, from a context that is created when the first are asked for. Calls wait in order; each
 * `advance` computes one batch, so that a step of the generating loop can come in between.
 */
export class Encoding {
  readonly #pending: PendingCall[] = []
  readonly #model: LlamaModel
  readonly #vocabulary: LlamaVocabulary
  readonly #purpose: ModelPurpose
  readonly #spec: { readonly threads: number; readonly maxTokens: number }
  readonly #adapters: readonly LlamaAdapter[]
  #embedder: LlamaEmbedder | undefined
  #rankPrompt: RankPrompt | undefined

  constructor(
    model: LlamaModel,
    vocabulary: LlamaVocabulary,
    purpose: ModelPurpose,
    spec: { readonly threads: number; readonly maxTokens: number },
    adapters: readonly LlamaAdapter[],
  ) {
    this.#model = model
    this.#vocabulary = vocabulary
    this.#purpose = purpose
    this.#spec = spec
    this.#adapters = adapters
  }

  /** Most tokens of one input. */
  get maxTokens(): number {
    return this.#context().maxTokens
  }

  get busy(): boolean {
    return this.#pending.length > 0
  }

  /** Takes a call in. Returns the answer of one that cannot be computed. */
  begin(message: EncodingCall): FromChild | undefined {
    try {
      this.#pending.push(message.type === 'embed' ? this.#embed(message) : this.#rank(message))
      return undefined
    } catch (error) {
      return failed(message.call, error)
    }
  }

  /** Computes a batch of the oldest call, of at most so many tokens or one input. Returns the call's answer with its last. */
  advance(mostTokens: number): FromChild | undefined {
    const [oldest] = this.#pending
    if (oldest === undefined) return undefined
    const { call, adapter, sequences, vectors } = oldest
    try {
      vectors.push(...this.#context().compute(sequences.slice(vectors.length), adapter, mostTokens))
      if (vectors.length < sequences.length) return undefined
      this.#pending.shift()
      return { type: 'reply', call, value: oldest.finish(vectors) }
    } catch (error) {
      this.#pending.shift()
      return failed(call, error)
    }
  }

  /** Forgets the call, if it waits here. */
  cancel(call: number): void {
    const at = this.#pending.findIndex((pending) => pending.call === call)
    if (at >= 0) this.#pending.splice(at, 1)
  }

  #embed({ call, inputs, adapter }: Extract<EncodingCall, { type: 'embed' }>): PendingCall {
    const sequences = inputs.map((input, at) => {
      const tokens =
        typeof input === 'string'
          ? this.#vocabulary.tokenize(input, true, false)
          : Int32Array.from(input.flatMap((part) => this.#tokensOf(part, `input[${at}]`)))
      checkEncodedInput(tokens.length, this.maxTokens, `input[${at}]`)
      return tokens
    })
    const tokens = lengthOf(sequences)
    const finish = (vectors: readonly Float32Array[]) => ({ vectors: vectors.map(normalised), tokens })
    return { call, adapter, sequences, vectors: [], finish }
  }

  /** A token as it is, or those of a text that stands among tokens: nothing is added around them. */
  #tokensOf(part: string | number, param: string): readonly number[] {
    if (typeof part === 'string') return Array.from(this.#vocabulary.tokenize(part, false, true))
    checkToken(part, this.#model.facts.vocabularySize, param)
    return [part]
  }

  /**
   * The head of a cross-encoder has one class, whose logit becomes a probability by the logistic function; that of
   * Qwen3's rerankers has the classes yes and no, and libllama has taken their softmax already.
   */
  #rank({ call, query, documents, adapter }: Extract<EncodingCall, { type: 'rank' }>): PendingCall {
    this.#rankPrompt ??= createRankPrompt(this.#vocabulary, rankTemplateOf(this.#model))
    const prompt = this.#rankPrompt
    const sequences = documents.map((document, at) => {
      const tokens = prompt(query, document)
      checkEncodedInput(tokens.length, this.maxTokens, `documents[${at}]`)
      return tokens
    })
    const tokens = lengthOf(sequences)
    const finish = (vectors: readonly Float32Array[]) => ({ scores: vectors.map(scoreOf), tokens })
    return { call, adapter, sequences, vectors: [], finish }
  }

  #context(): LlamaEmbedder {
    this.#embedder ??= new LlamaEmbedder(this.#model, this.#purpose, this.#spec, this.#adapters)
    return this.#embedder
  }
}

/** Throws for an input that is empty, or longer than a pooled sequence may be. `param` names it in the client's words. */
function checkEncodedInput(tokens: number, maximum: number, param: string): void {
  if (tokens === 0)
    throw new TokenmillError('invalid_request', `${param} is empty; send at least one token.`, { param })
  if (tokens > maximum) {
    const limit = { name: 'maxEmbeddingTokens', maximum, unit: 'tokens' }
    const { code, message, details } = limitError(limit, tokens, param, 'Cut it into parts.', 'context_length_exceeded')
    throw new TokenmillError(code, message, { ...details, param })
  }
}

function scoreOf(classes: Float32Array): number {
  const [first = Number.NaN] = classes
  if (classes.length > 2) {
    const text = `This model sorts texts into ${classes.length} classes; it does not rank documents. Choose a reranker.`
    throw new TokenmillError('unsupported', text, { param: 'model' })
  }
  return classes.length === 2 ? first : 1 / (1 + Math.exp(-first))
}

function failed(call: number, error: unknown): FromChild {
  const { code, message, details } = toTokenmillError(error)
  return { type: 'replyFailed', call, code: code === 'internal' ? 'engine_failed' : code, message, details }
}

function lengthOf(sequences: readonly Int32Array[]): number {
  return sequences.reduce((sum, { length }) => sum + length, 0)
}

/** Of unit Euclidean length. */
function normalised(vector: Float32Array): Float32Array {
  let squares = 0
  for (const value of vector) squares += value * value
  const scale = squares > 0 ? 1 / Math.sqrt(squares) : 0
  return vector.map((value) => value * scale)
}
