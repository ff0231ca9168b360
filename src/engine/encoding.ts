import { TokenmillError, toTokenmillError } from '../core/index.ts'
import type { ModelPurpose } from '../model/index.ts'
import { checkEncodedInput } from './embedding.ts'
import type { EmbeddingReply, FromChild, RankReply, ToChild } from './messages.ts'
import type { LlamaAdapter } from './native/llama-adapter.ts'
import { LlamaEmbedder } from './native/llama-embedder.ts'
import { rankTemplateOf, type LlamaModel } from './native/llama-model.ts'
import type { LlamaVocabulary } from './native/llama-vocabulary.ts'
import { createRankPrompt, type RankPrompt } from './rank-prompt.ts'
import { checkToken } from './token-check.ts'

export type EncodingCall = Extract<ToChild, { type: 'embed' | 'rank' }>

/** Vectors and ranks of texts, from a context that is created when the first are asked for. */
export class Encoding {
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

  /** The answer to a call, or why it failed. */
  answer(message: EncodingCall): FromChild {
    const { call } = message
    try {
      return { type: 'reply', call, value: message.type === 'embed' ? this.#embed(message) : this.#rank(message) }
    } catch (error) {
      const { code, message: text, details } = toTokenmillError(error)
      return { type: 'replyFailed', call, code: code === 'internal' ? 'engine_failed' : code, message: text, details }
    }
  }

  #embed({ inputs, adapter }: Extract<EncodingCall, { type: 'embed' }>): EmbeddingReply {
    const sequences = inputs.map((input, at) => {
      if (typeof input !== 'string') {
        for (const token of input) checkToken(token, this.#model.facts.vocabularySize)
      }
      const tokens = typeof input === 'string' ? this.#vocabulary.tokenize(input, true, false) : Int32Array.from(input)
      checkEncodedInput(tokens.length, this.maxTokens, `input[${at}]`)
      return tokens
    })
    return { vectors: this.#context().compute(sequences, adapter).map(normalised), tokens: lengthOf(sequences) }
  }

  /**
   * The head of a cross-encoder has one class, whose logit becomes a probability by the logistic function; that of
   * Qwen3's rerankers has the classes yes and no, and libllama has taken their softmax already.
   */
  #rank({ query, documents, adapter }: Extract<EncodingCall, { type: 'rank' }>): RankReply {
    this.#rankPrompt ??= createRankPrompt(this.#vocabulary, rankTemplateOf(this.#model))
    const prompt = this.#rankPrompt
    const sequences = documents.map((document, at) => {
      const tokens = prompt(query, document)
      checkEncodedInput(tokens.length, this.maxTokens, `documents[${at}]`)
      return tokens
    })
    const scores = this.#context()
      .compute(sequences, adapter)
      .map((classes) => {
        const [first = Number.NaN] = classes
        if (classes.length > 2) {
          const text = `This model sorts texts into ${classes.length} classes; it does not rank documents. Choose a reranker.`
          throw new TokenmillError('unsupported', text, { param: 'model' })
        }
        return classes.length === 2 ? first : 1 / (1 + Math.exp(-first))
      })
    return { scores, tokens: lengthOf(sequences) }
  }

  #context(): LlamaEmbedder {
    this.#embedder ??= new LlamaEmbedder(this.#model, this.#purpose, this.#spec, this.#adapters)
    return this.#embedder
  }
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
