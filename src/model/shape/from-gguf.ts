import { TokenmillError } from '../../core/index.ts'
import type { GgufFileHeader } from '../gguf-reader.ts'
import { shapeFromConfig } from './from-config.ts'
import { countWeights } from './weights.ts'
import type { ModelShape } from './model-shape.ts'

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
  const perLayer = (key: string): readonly number[] | undefined => listOf(metadata.get(`${architecture}.${key}`))
  const stated: Readonly<Record<string, unknown>> = {
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
    sliding_window_pattern:
      flagsOf(metadata.get(`${architecture}.attention.sliding_window_pattern`)) ??
      read('attention.sliding_window_pattern') ??
      windowPatterns[architecture],
    swa_head_dim: read('attention.key_length_swa'),
    swa_v_head_dim: read('attention.value_length_swa'),
    full_attention_interval: read('full_attention_interval'),
    conv_L_cache: read('shortconv.l_cache'),
    q_lora_rank: read('attention.q_lora_rank'),
    kv_lora_rank: read('attention.kv_lora_rank'),
    qk_rope_head_dim: isMla ? ropeDim : undefined,
    qk_nope_head_dim: isMla && nopeAndRope !== undefined && ropeDim !== undefined ? nopeAndRope - ropeDim : undefined,
  }
  const windows = flagsOf(metadata.get(`${architecture}.attention.sliding_window_pattern`))
  // Families whose windowed layers have KV heads of their own list them all.
  const globalKvHeads = perLayer('attention.head_count_kv')?.find((_, index) => windows?.[index] === false)
  const layers = layersOf(name, architecture, {
    kvHeads: perLayer('attention.head_count_kv'),
    widths: perLayer('feed_forward_length'),
    read,
  })
  const config = Object.fromEntries(
    Object.entries({ ...stated, num_global_key_value_heads: globalKvHeads, ...layers }).filter(
      ([, value]) => value !== undefined,
    ),
  )
  const shape = shapeFromConfig(name, config)
  return { ...shape, unread: [...shape.unread, ...disagreement(shape, header)] }
}

/** Families that mix tokens in more than one way say so by lists: no KV heads, or no feed-forward part, in some layers. */
function layersOf(
  name: string,
  architecture: string,
  {
    kvHeads,
    widths,
    read,
  }: {
    readonly kvHeads: readonly number[] | undefined
    readonly widths: readonly number[] | undefined
    readonly read: (key: string) => number | undefined
  },
): Readonly<Record<string, unknown>> {
  const inner = read('ssm.inner_size')
  const heads = read('ssm.time_step_rank')
  const stateDim = read('ssm.state_size')
  // Gated delta networks use the keys of state spaces for their heads.
  if (read('full_attention_interval') !== undefined && inner !== undefined && heads !== undefined) {
    return {
      linear_num_key_heads: read('ssm.group_count'),
      linear_num_value_heads: heads,
      linear_key_head_dim: stateDim,
      linear_value_head_dim: inner / heads,
      linear_conv_kernel_dim: read('ssm.conv_kernel'),
    }
  }
  if (kvHeads?.includes(0) !== true) return {}
  const convolution = read('shortconv.l_cache') !== undefined
  if (!convolution && inner === undefined) {
    throw new TokenmillError(
      'invalid_request',
      `GGUF '${name}' of architecture '${architecture}' has layers without KV heads, and says nothing of what mixes tokens there.`,
      { param: 'model' },
    )
  }
  const selective = architecture === 'jamba' || architecture === 'mamba'
  const other = convolution ? 'conv' : selective ? 'selective' : 'mamba'
  const alone = widths?.includes(0) === true
  const layers = kvHeads.map((own, index) => {
    if (own > 0) return alone ? 'attention' : 'full_attention'
    return alone && (widths?.[index] ?? 0) > 0 ? 'mlp' : other
  })
  return {
    [alone ? 'layers_block_type' : 'layer_types']: layers,
    mamba_num_heads: selective ? undefined : heads,
    mamba_head_dim: inner === undefined || heads === undefined ? undefined : inner / heads,
    mamba_dt_rank: heads,
    mamba_n_groups: read('ssm.group_count'),
    mamba_d_state: stateDim,
    mamba_d_conv: read('ssm.conv_kernel'),
  }
}

/** The tensors of a whole file are the truth: keys that describe a model of another size were not understood. */
function disagreement(shape: ModelShape, { metadata, tensors }: GgufFileHeader): readonly string[] {
  if ((largest(metadata.get('split.count')) ?? 1) > 1) return []
  const stored = tensors.reduce((sum, tensor) => sum + tensor.shape.reduce((product, size) => product * size, 1), 0)
  const { total } = countWeights(shape)
  if (stored < 1e6 || Math.abs(total / stored - 1) < 0.05) return []
  return [
    `tensors hold ${(stored / 1e9).toFixed(2)} billion weights where the keys describe ${(total / 1e9).toFixed(2)}`,
  ]
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

function listOf(value: unknown): readonly number[] | undefined {
  if (!Array.isArray(value)) return undefined
  return value.map((entry) => (typeof entry === 'bigint' ? Number(entry) : typeof entry === 'number' ? entry : 0))
}

function flagsOf(value: unknown): readonly boolean[] | undefined {
  return Array.isArray(value) && value.every((entry) => typeof entry === 'boolean') ? value : undefined
}
