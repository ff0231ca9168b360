import type { RerankResult } from '../../inference/index.ts'
import { Fields, invalid, type Limit } from '../fields.ts'
import type { ProtocolLimits } from '../limits.ts'

/** POST /v1/rerank in the shape that Jina and Cohere made common and vLLM serves. */
export interface RerankCall {
  readonly model: string | undefined
  readonly query: string
  readonly documents: readonly string[]
  readonly topN: number | undefined
  readonly returnDocuments: boolean
}

export function parseRerankCall(body: Fields, limits: ProtocolLimits): RerankCall {
  const limit: Limit = { name: 'maxRerankDocuments', maximum: limits.maxRerankDocuments, unit: 'documents' }
  const entries = body.requiredArray('documents', limit)
  if (entries.length === 0) throw invalid('documents', 'is empty; it must hold at least one document.')
  return {
    model: body.string('model'),
    query: body.requiredString('query'),
    documents: entries.map((entry, index) =>
      typeof entry === 'string' ? entry : Fields.of(entry, `documents[${index}]`).requiredString('text'),
    ),
    topN: body.integer('top_n', 1),
    returnDocuments: body.boolean('return_documents') ?? true,
  }
}

/** Results in falling relevance. */
export function toRerankAnswer(result: RerankResult, call: RerankCall, id: string, model: string): object {
  const ranked = result.scores
    .map((score, index) => ({
      index,
      ...(call.returnDocuments ? { document: { text: call.documents[index] ?? '' } } : {}),
      relevance_score: score,
    }))
    .toSorted((a, b) => b.relevance_score - a.relevance_score)
  return {
    id,
    model,
    results: ranked.slice(0, call.topN ?? ranked.length),
    usage: { prompt_tokens: result.promptTokens, total_tokens: result.promptTokens },
  }
}
