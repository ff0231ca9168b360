import { engineMethod } from '../engine-method.ts'
import { invalid, type Fields } from '../fields.ts'
import type { ProtocolLimits } from '../limits.ts'
import { readInputs } from '../openai/embeddings.ts'
import type { EngineCall } from '../protocol.ts'

/** Reads the body of POST /embedding: `content` as `input` at OpenAI's path. Each answer is a list of vectors: of one, pooled. */
export function parseNativeEmbedding(body: Fields, limits: ProtocolLimits): EngineCall {
  const name = body.has('content') ? 'content' : 'input'
  if (!body.has(name)) throw invalid('content', 'is missing; it must be a string, an array of strings, or token ids.')
  const inputs = readInputs(body, limits, name)
  return {
    model: body.string('model'),
    async answer(target, signal) {
      const request = { id: target.requestId, model: target.engineModel, inputs, dimensions: undefined }
      const { vectors, promptTokens } = await engineMethod(target, 'embed')(request, signal)
      return { body: vectors.map((vector, index) => ({ index, embedding: [[...vector]] })), promptTokens }
    },
  }
}
