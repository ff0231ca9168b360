import type { RerankResult } from '../../inference/index.ts'
import { engineMethod } from '../engine-method.ts'
import { Fields, invalid, type Limit } from '../fields.ts'
import type { ProtocolLimits } from '../limits.ts'
import type { CallTarget, EngineCall } from '../protocol.ts'

interface RerankFields {
  readonly query: string
  readonly documents: readonly string[]
  readonly topN: number | undefined
  readonly returnDocuments: boolean
}

/** Reads the body of POST /v1/rerank, in the shape that Jina and Cohere made common and vLLM serves. */
export function parseRerankCall(body: Fields, limits: ProtocolLimits): EngineCall {
  const limit: Limit = { name: 'maxRerankDocuments', maximum: limits.maxRerankDocuments, unit: 'documents' }
  const entries = body.requiredArray('documents', limit)
  if (entries.length === 0) throw invalid('documents', 'is empty; it must hold at least one document.')
  const fields: RerankFields = {
    query: body.requiredString('query'),
    documents: entries.map((entry, index) =>
      typeof entry === 'string' ? entry : Fields.of(entry, `documents[${index}]`).requiredString('text'),
    ),
    topN: body.integer('top_n', 1),
    returnDocuments: body.boolean('return_documents') ?? true,
  }
  return {
    model: body.string('model'),
    async answer(target, signal) {
      const { query, documents } = fields
      const request = { id: target.requestId, model: target.engineModel, query, documents }
      const result = await engineMethod(target, 'rerank')(request, signal)
      return { body: toRerankAnswer(result, fields, target), promptTokens: result.promptTokens }
    },
  }
}

/** Results in falling relevance. */
function toRerankAnswer(result: RerankResult, fields: RerankFields, { answerId, model }: CallTarget): object {
  const ranked = result.scores
    .map((score, index) => ({
      index,
      ...(fields.returnDocuments ? { document: { text: fields.documents[index] ?? '' } } : {}),
      relevance_score: score,
    }))
    .toSorted((a, b) => b.relevance_score - a.relevance_score)
  return {
    id: answerId,
    model,
    results: ranked.slice(0, fields.topN ?? ranked.length),
    usage: { prompt_tokens: result.promptTokens, total_tokens: result.promptTokens },
  }
}
