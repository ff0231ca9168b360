import { TokenmillError } from '../core/index.ts'
import type { EmbeddingResult, RerankResult } from '../inference/index.ts'
import { readUsage } from '../protocol/index.ts'

/** Vectors in the order of the inputs, as floats or base64 (little-endian float32), scaled to unit length. */
export function readEmbeddings(answer: unknown, inputs: number): EmbeddingResult {
  const { data, usage } = answer as { data?: unknown; usage?: unknown }
  if (!Array.isArray(data) || data.length !== inputs) throw malformed('embeddings')
  const vectors: Float32Array[] = []
  data.forEach((entry: { index?: number; embedding?: unknown }, at) => {
    vectors[entry.index ?? at] = toUnitLength(readVector(entry.embedding))
  })
  if (Object.keys(vectors).length !== inputs) throw malformed('embeddings')
  return { vectors, promptTokens: readUsage(usage)?.promptTokens ?? 0 }
}

/** Scores in the order of the documents: `results` with `relevance_score` (Cohere, vLLM), or an array with `score` (TEI). */
export function readScores(answer: unknown, documents: number): RerankResult {
  const { results, usage } = answer as { results?: unknown; usage?: unknown }
  const entries = Array.isArray(answer) ? (answer as unknown[]) : results
  if (!Array.isArray(entries)) throw malformed('rerank')
  const scores = Array.from<number>({ length: documents }).fill(Number.NaN)
  for (const entry of entries as { index?: number; relevance_score?: number; score?: number }[]) {
    if (entry.index !== undefined) scores[entry.index] = entry.relevance_score ?? entry.score ?? Number.NaN
  }
  if (scores.length !== documents || scores.some((score) => Number.isNaN(score))) throw malformed('rerank')
  return { scores, promptTokens: readUsage(usage)?.promptTokens ?? 0 }
}

/** `tokens`, plain or as `{id, piece}`. */
export function readTokens(answer: unknown): number[] {
  const tokens: unknown = (answer as { tokens?: unknown } | null)?.tokens
  if (!Array.isArray(tokens)) throw malformed('tokenize')
  return tokens.map((token: unknown) => {
    const id = typeof token === 'object' && token !== null ? (token as { id?: unknown }).id : token
    if (typeof id !== 'number') throw malformed('tokenize')
    return id
  })
}

export function readText(answer: unknown, field: string): string {
  const text: unknown = (answer as Record<string, unknown> | null)?.[field]
  if (typeof text !== 'string') throw malformed(field)
  return text
}

function readVector(value: unknown): Float32Array {
  if (typeof value === 'string') {
    const bytes = Uint8Array.from(Buffer.from(value, 'base64'))
    if (bytes.length % 4 === 0) return new Float32Array(bytes.buffer)
  }
  if (Array.isArray(value) && value.every((number) => typeof number === 'number')) return Float32Array.from(value)
  throw malformed('embeddings')
}

function toUnitLength(vector: Float32Array): Float32Array {
  const norm = Math.hypot(...vector)
  return norm === 0 || Math.abs(norm - 1) < 1e-4 ? vector : vector.map((value) => value / norm)
}

function malformed(what: string): TokenmillError {
  return new TokenmillError(
    'upstream_failed',
    `The upstream's answer to ${what} has not the form that its API promises.`,
  )
}
