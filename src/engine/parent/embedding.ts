import { TokenmillError } from '../../core/index.ts'
import type { EmbeddingRequest, EmbeddingResult, RerankRequest, RerankResult } from '../../inference/index.ts'
import type { EmbeddingReply, RankReply } from '../messages.ts'

/** Inputs or documents of one message to the engine's process: generation goes on between two of them. */
const inputsAtOnce = 16

/** Sends the inputs in portions, puts the vectors together, and cuts them to the dimensions asked for. */
export async function embedInPortions(
  request: EmbeddingRequest,
  send: (inputs: EmbeddingRequest['inputs']) => Promise<EmbeddingReply>,
): Promise<EmbeddingResult> {
  const vectors: Float32Array[] = []
  let promptTokens = 0
  for (let first = 0; first < request.inputs.length; first += inputsAtOnce) {
    const reply = await send(request.inputs.slice(first, first + inputsAtOnce))
    vectors.push(...reply.vectors)
    promptTokens += reply.tokens
  }
  const { dimensions } = request
  const length = vectors[0]?.length ?? 0
  if (dimensions === undefined || dimensions === length) return { vectors, promptTokens }
  if (dimensions > length) {
    throw new TokenmillError(
      'invalid_request',
      `This model's embeddings have ${length} dimensions; ${dimensions} were asked for.`,
      {
        param: 'dimensions',
        maximum: length,
        actual: dimensions,
      },
    )
  }
  return { vectors: vectors.map((vector) => shortened(vector, dimensions)), promptTokens }
}

/** Sends the documents in portions and puts their scores together. */
export async function rankInPortions(
  { documents }: RerankRequest,
  send: (documents: readonly string[]) => Promise<RankReply>,
): Promise<RerankResult> {
  const scores: number[] = []
  let promptTokens = 0
  for (let first = 0; first < documents.length; first += inputsAtOnce) {
    const reply = await send(documents.slice(first, first + inputsAtOnce))
    scores.push(...reply.scores)
    promptTokens += reply.tokens
  }
  return { scores, promptTokens }
}

/** The first dimensions, of unit length again: what models trained for shorter vectors expect. */
function shortened(vector: Float32Array, dimensions: number): Float32Array {
  const cut = vector.slice(0, dimensions)
  const norm = Math.hypot(...cut)
  return norm > 0 ? cut.map((value) => value / norm) : cut
}
