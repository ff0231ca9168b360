import type { EmbeddingRequest, EmbeddingResult } from '../../inference/index.ts'
import { engineMethod } from '../engine-method.ts'
import { checkLength, invalid, wrongType, type Fields } from '../fields.ts'
import type { ProtocolLimits } from '../limits.ts'
import type { EngineCall } from '../protocol.ts'
import { readToken } from './token-ids.ts'

interface EmbeddingFields {
  readonly model: string | undefined
  readonly inputs: EmbeddingRequest['inputs']
  readonly dimensions: number | undefined
  /** base64 is what the official client libraries ask for: little-endian float32. */
  readonly encoding: 'float' | 'base64'
}

/** Reads the body of POST /v1/embeddings. */
export function parseEmbeddingCall(body: Fields, limits: ProtocolLimits): EngineCall {
  const fields: EmbeddingFields = {
    model: body.string('model'),
    inputs: readInputs(body, limits),
    dimensions: body.integer('dimensions', 1, 65_536),
    encoding: body.word('encoding_format', ['float', 'base64']) ?? 'float',
  }
  return {
    model: fields.model,
    async answer(target, signal) {
      const { inputs, dimensions } = fields
      const request = { id: target.requestId, model: target.engineModel, inputs, dimensions }
      const result = await engineMethod(target, 'embed')(request, signal)
      return { body: toEmbeddingAnswer(result, fields, target.model), promptTokens: result.promptTokens }
    },
  }
}

/** The inputs of the field `name`. */
export function readInputs(body: Fields, limits: ProtocolLimits, name = 'input'): EmbeddingRequest['inputs'] {
  const raw = body.raw(name)
  if (raw === undefined) throw invalid(name, 'is missing; it must be a string, an array of strings, or token ids.')
  if (typeof raw === 'string') return [notEmpty(raw, name)]
  const entries = body.requiredArray(name)
  if (entries.length === 0) throw invalid(name, 'is empty; it must hold at least one text or token.')
  // Token ids, texts among them or not, are one input.
  if (entries.some((entry) => typeof entry === 'number')) return [readMixed(entries, name)]
  const limit = { name: 'maxEmbeddingInputs', maximum: limits.maxEmbeddingInputs, unit: 'inputs' }
  checkLength(entries.length, name, limit)
  return entries.map((entry, index) => {
    const path = `${name}[${index}]`
    if (typeof entry === 'string') return notEmpty(entry, path)
    if (!Array.isArray(entry)) throw wrongType(path, entry, 'a string or an array of token ids')
    if (entry.length === 0) throw invalid(path, 'is empty; it must hold at least one token.')
    return readMixed(entry, path)
  })
}

/** Token ids with texts among them, as llama-server takes them. */
function readMixed(entries: readonly unknown[], path: string): readonly (string | number)[] {
  return entries.map((entry, index) => {
    const at = `${path}[${index}]`
    return typeof entry === 'string' ? notEmpty(entry, at) : readToken(entry, at)
  })
}

function notEmpty(text: string, path: string): string {
  if (text === '') throw invalid(path, 'is empty; it must have at least one character.')
  return text
}

function toEmbeddingAnswer(result: EmbeddingResult, fields: EmbeddingFields, model: string): object {
  return {
    object: 'list',
    data: result.vectors.map((vector, index) => ({
      object: 'embedding',
      index,
      embedding: fields.encoding === 'base64' ? toBase64(vector) : [...vector],
    })),
    model,
    usage: { prompt_tokens: result.promptTokens, total_tokens: result.promptTokens },
  }
}

/** Float32, little-endian whatever this machine is. */
function toBase64(vector: Float32Array): string {
  const bytes = Buffer.alloc(vector.length * 4)
  for (let index = 0; index < vector.length; index += 1) bytes.writeFloatLE(vector[index] ?? 0, index * 4)
  return bytes.toString('base64')
}
