import { createRandom } from '../../src/core/index.ts'
import { f32, writeGguf, type GgufTensor, type GgufValue } from '../../src/model/index.ts'

const count = (value: number) => ({ type: 'uint32', value }) as const
const text = (value: string) => ({ type: 'string', value }) as const
const strings = (values: readonly string[]) => ({ type: 'array', of: 'string', values }) as const

function matrix(
  name: string,
  inputs: number,
  outputs: number,
  at: (row: number, column: number) => number,
): GgufTensor {
  return {
    name,
    shape: [inputs, outputs],
    format: f32,
    rows: function* () {
      for (let row = 0; row < outputs; row += 1)
        yield Float32Array.from({ length: inputs }, (_, column) => at(row, column))
    },
  }
}

function vector(name: string, values: readonly number[]): GgufTensor {
  return { name, shape: [values.length], format: f32, rows: () => [Float32Array.from(values)] }
}

/** How much each word of the made cross-encoder speaks for relevance. The others are unknown to it. */
export const wordWeights: Readonly<Record<string, number>> = {
  river: 4,
  water: 2,
  boat: 1,
  stone: 0,
  iron: -2,
  what: 0,
  is: 0,
  a: 0,
}

/**
 * A cross-encoder of the BERT architecture whose answer can be worked out by hand: attention without queries or keys takes
 * the mean over all tokens, every matrix behind it is the identity or nothing, and the head reads the one
 * direction in which words differ. So the score rises with the mean of `wordWeights` over query and document.
 * `head: false` leaves the head out: an embedding model. `classes` above 1: a classifier.
 */
export async function writeMadeCrossEncoder(
  path: string,
  options: { head?: boolean; classes?: number } = {},
): Promise<void> {
  const { head = true, classes = 1 } = options
  const [width, context] = [32, 64]
  const words = Object.keys(wordWeights)
  const tokens = ['[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]', ...words.map((word) => `▁${word}`)]
  // The base keeps every token's mean at 0 and its variance away from it; dimensions 0 and 1 carry the weight.
  const base = (column: number) => (column < 2 ? 0 : column % 2 === 0 ? 3 : -3)
  const identity = (row: number, column: number) => (row === column ? 1 : 0)
  const nothing = () => 0
  const ones = Array.from({ length: width }, () => 1)
  const zeros = Array.from({ length: width }, () => 0)
  const norm = (name: string) => [vector(`${name}.weight`, ones), vector(`${name}.bias`, zeros)]
  const metadata: Record<string, GgufValue> = {
    'general.architecture': text('bert'),
    'general.name': text('made cross-encoder'),
    'bert.context_length': count(context),
    'bert.embedding_length': count(width),
    'bert.block_count': count(1),
    'bert.feed_forward_length': count(width),
    'bert.attention.head_count': count(2),
    'bert.attention.layer_norm_epsilon': { type: 'float32', value: 1e-6 },
    'bert.attention.causal': { type: 'bool', value: false },
    'bert.pooling_type': count(head ? 4 : 1),
    ...(classes > 1 && {
      'bert.classifier.output_labels': strings(Array.from({ length: classes }, (_, at) => `label ${at}`)),
    }),
    'tokenizer.ggml.model': text('bert'),
    'tokenizer.ggml.pre': text('default'),
    'tokenizer.ggml.token_type_count': count(2),
    'tokenizer.ggml.tokens': strings(tokens),
    'tokenizer.ggml.token_type': { type: 'array', of: 'int32', values: tokens.map((_, id) => (id < 5 ? 3 : 1)) },
    'tokenizer.ggml.padding_token_id': count(0),
    'tokenizer.ggml.unknown_token_id': count(1),
    'tokenizer.ggml.bos_token_id': count(2),
    'tokenizer.ggml.seperator_token_id': count(3),
    'tokenizer.ggml.mask_token_id': count(4),
  }
  const weightOf = (id: number) => wordWeights[words[id - 5] ?? ''] ?? 0
  await writeGguf(path, {
    metadata,
    tensors: [
      matrix('token_embd.weight', width, tokens.length, (id, column) => {
        if (column > 1) return base(column)
        return column === 0 ? weightOf(id) : -weightOf(id)
      }),
      matrix('token_types.weight', width, 2, nothing),
      matrix('position_embd.weight', width, context, nothing),
      ...norm('token_embd_norm'),
      matrix('blk.0.attn_q.weight', width, width, nothing),
      matrix('blk.0.attn_k.weight', width, width, nothing),
      matrix('blk.0.attn_v.weight', width, width, identity),
      matrix('blk.0.attn_output.weight', width, width, identity),
      ...norm('blk.0.attn_output_norm'),
      matrix('blk.0.ffn_up.weight', width, width, nothing),
      matrix('blk.0.ffn_down.weight', width, width, nothing),
      ...norm('blk.0.layer_output_norm'),
      ...(head
        ? [matrix('cls.output.weight', width, classes, (_, column) => (column === 0 ? 1 : column === 1 ? -1 : 0))]
        : []),
    ],
  })
}

/** A reranker as Qwen3's are: a decoder with a template for pairs, and a head with the classes yes and no. Random weights. */
export async function writeRandomQwenReranker(path: string, seed: number): Promise<void> {
  const random = createRandom(seed)
  const [width, heads, headWidth, feedForward] = [32, 2, 16, 64]
  const bytes = Array.from({ length: 256 }, (_, byte) => `<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`)
  const letters = Array.from('▁abcdefghijklmnopqrstuvwxyz')
  const tokens = ['<unk>', '<s>', '</s>', '<|im_start|>', '<|im_end|>', ...bytes, ...letters]
  const types = tokens.map((_, id) => (id === 0 ? 2 : id < 5 ? 3 : id < 5 + 256 ? 6 : 1))
  const drawn = (name: string, inputs: number, outputs: number) =>
    matrix(name, inputs, outputs, () => ((random() - 0.5) * Math.sqrt(12)) / Math.sqrt(inputs))
  const ones = (name: string, length: number) =>
    vector(
      name,
      Array.from({ length }, () => 1),
    )
  await writeGguf(path, {
    metadata: {
      'general.architecture': text('qwen3'),
      'general.name': text('random reranker'),
      'qwen3.context_length': count(256),
      'qwen3.embedding_length': count(width),
      'qwen3.block_count': count(1),
      'qwen3.feed_forward_length': count(feedForward),
      'qwen3.attention.head_count': count(heads),
      'qwen3.attention.head_count_kv': count(heads),
      'qwen3.attention.key_length': count(headWidth),
      'qwen3.attention.value_length': count(headWidth),
      'qwen3.attention.layer_norm_rms_epsilon': { type: 'float32', value: 1e-6 },
      'qwen3.rope.freq_base': { type: 'float32', value: 10_000 },
      'qwen3.pooling_type': count(4),
      'qwen3.classifier.output_labels': strings(['yes', 'no']),
      'tokenizer.ggml.model': text('llama'),
      'tokenizer.ggml.pre': text('default'),
      'tokenizer.ggml.tokens': strings(tokens),
      'tokenizer.ggml.scores': { type: 'array', of: 'float32', values: tokens.map((_, id) => -id) },
      'tokenizer.ggml.token_type': { type: 'array', of: 'int32', values: types },
      'tokenizer.ggml.bos_token_id': count(1),
      'tokenizer.ggml.eos_token_id': count(2),
      'tokenizer.ggml.add_bos_token': { type: 'bool', value: false },
      'tokenizer.chat_templates': strings(['rerank']),
      'tokenizer.chat_template.rerank': text('<|im_start|>query: {query}\ndocument: {document}<|im_end|>'),
    },
    tensors: [
      drawn('token_embd.weight', width, tokens.length),
      ones('blk.0.attn_norm.weight', width),
      drawn('blk.0.attn_q.weight', width, heads * headWidth),
      drawn('blk.0.attn_k.weight', width, heads * headWidth),
      drawn('blk.0.attn_v.weight', width, heads * headWidth),
      drawn('blk.0.attn_output.weight', heads * headWidth, width),
      ones('blk.0.attn_q_norm.weight', headWidth),
      ones('blk.0.attn_k_norm.weight', headWidth),
      ones('blk.0.ffn_norm.weight', width),
      drawn('blk.0.ffn_gate.weight', width, feedForward),
      drawn('blk.0.ffn_up.weight', width, feedForward),
      drawn('blk.0.ffn_down.weight', feedForward, width),
      ones('output_norm.weight', width),
      drawn('cls.output.weight', width, 2),
    ],
  })
}
