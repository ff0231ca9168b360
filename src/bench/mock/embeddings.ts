import { createHash } from 'node:crypto'
import { z } from 'zod'
import { createRandom, TokenmillError } from '../../core/index.ts'
import { sampleNormal } from '../../workload/index.ts'
import { splitTokens } from './prompt-tokens.ts'

const bodySchema = z.object({
  model: z.string(),
  input: z.union([z.string(), z.array(z.string()), z.array(z.int()), z.array(z.array(z.int()))]),
  encoding_format: z.enum(['float', 'base64']).nullish(),
  dimensions: z.int().positive().nullish(),
})

/** OpenAI's embeddings answer: unit vectors that depend on the text alone. Throws `invalid_request`. */
export function embeddingsBody(
  body: unknown,
  defaultDimensions: number,
): { readonly json: string; readonly model: string; readonly promptTokens: number } {
  const parsed = bodySchema.safeParse(body)
  if (!parsed.success) {
    const issue = parsed.error.issues[0]
    const param = issue?.path.join('.') ?? ''
    throw new TokenmillError('invalid_request', `'${param}': ${issue?.message ?? 'invalid'}.`, { param })
  }
  const { input, model, encoding_format: format, dimensions } = parsed.data
  const texts = toTexts(input)
  const promptTokens = texts.reduce((sum, text) => sum + splitTokens(text).length, 0)
  const data = texts.map((text, index) => {
    const vector = toVector(text, dimensions ?? defaultDimensions)
    const embedding = format === 'base64' ? Buffer.from(vector.buffer).toString('base64') : [...vector]
    return { object: 'embedding', index, embedding }
  })
  const usage = { prompt_tokens: promptTokens, total_tokens: promptTokens }
  return { json: JSON.stringify({ object: 'list', model, data, usage }), model, promptTokens }
}

function toTexts(input: string | string[] | number[] | number[][]): string[] {
  if (typeof input === 'string') return [input]
  if (input.every((item) => typeof item === 'number')) return [input.join(' ')]
  return input.map((item) => (typeof item === 'object' ? item.join(' ') : item))
}

function toVector(text: string, dimensions: number): Float32Array {
  const random = createRandom(createHash('sha1').update(text).digest().readUInt32LE(0))
  const vector = Float32Array.from({ length: dimensions }, () => sampleNormal(random))
  const norm = Math.hypot(...vector)
  return vector.map((value) => value / norm)
}
