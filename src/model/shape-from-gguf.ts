import { TokenmillError } from '../core/index.ts'
import type { GgufFileHeader } from './gguf-reader.ts'
import { shapeFromConfig } from './shape-from-config.ts'
import type { ModelShape } from './shape.ts'

/**
 * The shape that a GGUF file's header describes. The keys are those of llama.cpp's gguf-py/gguf/constants.py; they
 * are translated into the words of a config.json, so that one reader knows all families.
 * Throws `invalid_request` where a needed key is missing.
 */
export function shapeFromGguf(name: string, header: GgufFileHeader): ModelShape {
  const { metadata } = header
  const architecture = metadata.get('general.architecture')
  if (typeof architecture !== 'string') {
    throw new TokenmillError('invalid_request', `GGUF '${name}' does not name its architecture.`)
  }
  const read = (key: string): number | undefined => largest(metadata.get(`${architecture}.${key}`))
  const tokens = metadata.get('tokenizer.ggml.tokens')
  const listed = tokens !== undefined && typeof tokens === 'object' && 'length' in tokens ? tokens.length : undefined
  const nopeAndRope = read('attention.key_length_mla') ?? read('attention.key_length')
  const ropeDim = read('rope.dimension_count')
  const isMla = read('attention.kv_lora_rank') !== undefined
  const stated: Readonly<Record<string, number | string | boolean | undefined>> = {
    model_type: architecture,
    num_hidden_layers: read('block_count'),
    hidden_size: read('embedding_length'),
    num_attention_heads: read('attention.head_count'),
    num_key_value_heads: read('attention.head_count_kv'),
    head_dim: read('attention.key_length'),
    v_head_dim: read('attention.value_length_mla') ?? read('attention.value_length'),
    intermediate_size: read('feed_forward_length'),
    vocab_size: read('vocab_size') ?? listed,
    max_position_embeddings: read('context_length'),
    tie_word_embeddings: !header.tensors.some((tensor) => tensor.name === 'output.weight'),
    n_routed_experts: read('expert_count'),
    num_experts_per_tok: read('expert_used_count'),
    moe_intermediate_size: read('expert_feed_forward_length'),
    n_shared_experts: read('expert_shared_count'),
    shared_expert_intermediate_size: read('expert_shared_feed_forward_length'),
    first_k_dense_replace: read('leading_dense_block_count'),
    interleave_moe_layer_step: read('interleave_moe_layer_step'),
    sliding_window: read('attention.sliding_window'),
    sliding_window_pattern: read('attention.sliding_window_pattern') ?? windowPatterns[architecture],
    q_lora_rank: read('attention.q_lora_rank'),
    kv_lora_rank: read('attention.kv_lora_rank'),
    qk_rope_head_dim: isMla ? ropeDim : undefined,
    qk_nope_head_dim: isMla && nopeAndRope !== undefined && ropeDim !== undefined ? nopeAndRope - ropeDim : undefined,
  }
  return shapeFromConfig(name, Object.fromEntries(Object.entries(stated).filter(([, value]) => value !== undefined)))
}

/** Every n-th layer sees the whole context, in families whose files leave that to the loader. */
const windowPatterns: Readonly<Record<string, number>> = { gemma3: 6, gemma2: 2, 'gpt-oss': 2, cohere2: 4 }

function largest(value: unknown): number | undefined {
  if (typeof value === 'number') return value
  if (typeof value === 'bigint') return Number(value)
  if (Array.isArray(value)) {
    const numbers = value.filter((entry): entry is number => typeof entry === 'number')
    return numbers.length === 0 ? undefined : Math.max(...numbers)
  }
  return undefined
}
