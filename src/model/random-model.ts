import { createRandom, type Random } from '../core/index.ts'
import { f32, type GgufTensorFormat } from './gguf-blocks.ts'
import type { GgufTensor, GgufValue } from './gguf-header.ts'
import { writeGguf } from './gguf-writer.ts'
import { createRandomVocabulary, vocabularyMetadata } from './random-vocabulary.ts'

/** Shape of a model of the Llama architecture, in values. */
export interface RandomModelShape {
  /** Width of the residual stream; a multiple of 32 and of `heads`. */
  readonly embedding: number
  readonly layers: number
  readonly heads: number
  /** Divides `heads`. Fewer than `heads`: grouped-query attention. */
  readonly kvHeads: number
  /** Width inside the gated feed-forward; a multiple of 32. */
  readonly feedForward: number
  readonly vocabulary: number
  /** Tokens. */
  readonly context: number
  /** The output matrix is the embedding matrix. */
  readonly tied: boolean
}

/** Shapes for measurements and tests, by the number of parameters in their names. */
export const randomModelShapes = {
  /** 0.1 million: loads and answers within milliseconds. */
  tiny: {
    embedding: 64,
    layers: 2,
    heads: 4,
    kvHeads: 2,
    feedForward: 128,
    vocabulary: 512,
    context: 4096,
    tied: false,
  },
  /** 160 million: a draft model's size, with grouped-query attention. */
  '160m': {
    embedding: 768,
    layers: 12,
    heads: 12,
    kvHeads: 4,
    feedForward: 3328,
    vocabulary: 32_000,
    context: 8192,
    tied: false,
  },
  /** 1.24 billion: the shape of Llama 3.2 1B (its config.json), large vocabulary included. */
  '1b': {
    embedding: 2048,
    layers: 16,
    heads: 32,
    kvHeads: 8,
    feedForward: 8192,
    vocabulary: 128_256,
    context: 8192,
    tied: true,
  },
} as const satisfies Readonly<Record<string, RandomModelShape>>

export interface RandomModelOptions {
  readonly shape: RandomModelShape
  readonly seed: number
  /** Format of the matrices; norms are always F32. */
  readonly format: GgufTensorFormat
  /**
   * Standard deviation of the logits, 10 unless said otherwise: two best logits then stand about 3 apart in the
   * mean, so that rounding in another batch shape rarely swaps them.
   */
  readonly logitDeviation?: number
  readonly signal?: AbortSignal
}

/**
 * Writes a GGUF with seeded random weights that libllama loads like any other: equal options, equal bytes.
 * Weights are scaled so that activations neither vanish nor explode and the next token hangs on the whole context.
 * Controls and bytes have no weight in an untied output matrix: generated text is plain words that go on until a limit.
 * Returns the file's size in bytes.
 */
export function writeRandomModel(path: string, options: RandomModelOptions): Promise<number> {
  const { shape, seed } = options
  const random = createRandom(seed)
  const vocabulary = createRandomVocabulary(shape.vocabulary, random)
  const metadata = { ...architectureMetadata(shape), ...vocabularyMetadata(vocabulary) }
  const tensors = modelTensors(options, vocabulary.firstTextId, random)
  return writeGguf(path, { metadata, tensors }, options.signal)
}

function architectureMetadata(shape: RandomModelShape): Record<string, GgufValue> {
  const count = (value: number) => ({ type: 'uint32', value }) as const
  return {
    'general.architecture': { type: 'string', value: 'llama' },
    'general.name': { type: 'string', value: 'random weights' },
    'llama.vocab_size': count(shape.vocabulary),
    'llama.context_length': count(shape.context),
    'llama.embedding_length': count(shape.embedding),
    'llama.block_count': count(shape.layers),
    'llama.feed_forward_length': count(shape.feedForward),
    'llama.attention.head_count': count(shape.heads),
    'llama.attention.head_count_kv': count(shape.kvHeads),
    'llama.attention.layer_norm_rms_epsilon': { type: 'float32', value: 1e-5 },
    'llama.rope.dimension_count': count(shape.embedding / shape.heads),
    'llama.rope.freq_base': { type: 'float32', value: 10_000 },
  }
}

/**
 * The tensors of llama.cpp's src/models/llama.cpp. A matrix of fan-in n has deviation gain/√n, which keeps unit
 * variance at gain 1. Gains above 1 sharpen attention (queries) and make up for what averaging takes (values).
 */
function modelTensors(options: RandomModelOptions, firstTextId: number, random: Random): GgufTensor[] {
  const { shape, format } = options
  const { embedding, feedForward, heads, kvHeads, layers } = shape
  const kvWidth = (embedding / heads) * kvHeads
  const matrix = (name: string, inputs: number, outputs: number, gain: number): GgufTensor => ({
    name,
    shape: [inputs, outputs],
    format,
    rows: () => randomRows(inputs, outputs, gain / Math.sqrt(inputs), random),
  })
  const norm = (name: string): GgufTensor => ({
    name,
    shape: [embedding],
    format: f32,
    rows: () => [new Float32Array(embedding).fill(1)],
  })
  const logitDeviation = options.logitDeviation ?? 10
  const tensors = [matrix('token_embd.weight', embedding, shape.vocabulary, logitDeviation)]
  for (let layer = 0; layer < layers; layer += 1) {
    const name = (part: string) => `blk.${layer}.${part}.weight`
    tensors.push(
      norm(name('attn_norm')),
      matrix(name('attn_q'), embedding, embedding, 2),
      matrix(name('attn_k'), embedding, kvWidth, 1),
      matrix(name('attn_v'), embedding, kvWidth, 2),
      matrix(name('attn_output'), embedding, embedding, 2),
      norm(name('ffn_norm')),
      matrix(name('ffn_gate'), embedding, feedForward, 1),
      matrix(name('ffn_up'), embedding, feedForward, 1),
      matrix(name('ffn_down'), feedForward, embedding, 2),
    )
  }
  tensors.push(norm('output_norm.weight'))
  if (!shape.tied) tensors.push(outputMatrix(options, firstTextId, logitDeviation, random))
  return tensors
}

function outputMatrix(
  { shape, format }: RandomModelOptions,
  firstTextId: number,
  deviation: number,
  random: Random,
): GgufTensor {
  const silent = new Float32Array(shape.embedding)
  return {
    name: 'output.weight',
    shape: [shape.embedding, shape.vocabulary],
    format,
    *rows() {
      for (let id = 0; id < firstTextId; id += 1) yield silent
      const spoken = shape.vocabulary - firstTextId
      yield* randomRows(shape.embedding, spoken, deviation / Math.sqrt(shape.embedding), random)
    },
  }
}

/** Rows of uniform values with the given standard deviation, in one buffer that is used again for each. */
function* randomRows(length: number, count: number, deviation: number, random: Random): Generator<Float32Array> {
  const row = new Float32Array(length)
  const width = 2 * Math.sqrt(3) * deviation
  for (let at = 0; at < count; at += 1) {
    for (let i = 0; i < length; i += 1) row[i] = (random() - 0.5) * width
    yield row
  }
}
