import { z } from 'zod'
import { TokenmillError } from '../core/index.ts'
import type { FfnGroup, Fp4Scope, MixerGroup, ModelShape } from './shape.ts'

const count = z.number().int().positive()
const maybe = count.optional()
const orZero = z.number().int().min(0).optional()

/** The fields of a Hugging Face `config.json` that a shape depends on, over all families that are known here. */
const configSchema = z.looseObject({
  model_type: z.string().optional(),
  num_hidden_layers: count,
  hidden_size: count,
  num_attention_heads: count,
  num_key_value_heads: maybe,
  head_dim: maybe,
  attention_head_dim: maybe,
  v_head_dim: maybe,
  intermediate_size: maybe,
  intermediate_size_mlp: maybe,
  dense_intermediate_size: maybe,
  vocab_size: count,
  max_position_embeddings: maybe,
  tie_word_embeddings: z.boolean().optional(),
  num_experts: orZero,
  num_local_experts: orZero,
  n_routed_experts: orZero,
  moe_num_experts: orZero,
  num_experts_per_tok: maybe,
  num_experts_per_token: maybe,
  moe_k: maybe,
  moe_topk: maybe,
  moe_intermediate_size: maybe,
  shared_expert_intermediate_size: orZero,
  shared_intermediate_size: orZero,
  moe_shared_expert_intermediate_size: orZero,
  n_shared_experts: orZero,
  num_shared_experts: orZero,
  moe_num_shared_experts: orZero,
  num_shared_expert: orZero,
  moe_layer_start_index: orZero,
  first_k_dense_replace: orZero,
  interleave_moe_layer_step: maybe,
  decoder_sparse_step: maybe,
  moe_latent_size: maybe,
  q_lora_rank: maybe,
  kv_lora_rank: maybe,
  qk_nope_head_dim: maybe,
  qk_rope_head_dim: maybe,
  index_topk: maybe,
  index_n_heads: maybe,
  index_head_dim: maybe,
  sliding_window: maybe,
  use_sliding_window: z.boolean().optional(),
  sliding_window_pattern: maybe,
  attention_chunk_size: maybe,
  layer_types: z.array(z.string()).optional(),
  full_attention_interval: maybe,
  linear_key_head_dim: maybe,
  linear_num_key_heads: maybe,
  linear_num_value_heads: maybe,
  linear_value_head_dim: maybe,
  linear_conv_kernel_dim: maybe,
  attn_output_gate: z.boolean().optional(),
  use_qk_norm: z.boolean().optional(),
  hybrid_override_pattern: z.string().optional(),
  mamba_head_dim: maybe,
  mamba_num_heads: maybe,
  ssm_state_size: maybe,
  n_groups: maybe,
  conv_kernel: maybe,
})

type Config = z.infer<typeof configSchema>

/** What a config.json does not say about the checkpoint. */
export interface CheckpointFacts {
  readonly fp4Scope?: Fp4Scope
  readonly expertBits?: number
}

/**
 * The shape that a Hugging Face `config.json` describes (its `text_config` for multimodal models).
 * Throws `invalid_request` naming the field that is missing or wrong.
 */
export function shapeFromConfig(name: string, config: unknown, facts: CheckpointFacts = {}): ModelShape {
  const parsed = configSchema.safeParse(flatten(config))
  if (!parsed.success) {
    const [issue] = parsed.error.issues
    const field = issue === undefined || issue.path.length === 0 ? 'the file' : issue.path.join('.')
    throw new TokenmillError('invalid_request', `Config of '${name}': ${field}: ${issue?.message}.`, { param: field })
  }
  const read = parsed.data
  const ffns =
    read.hybrid_override_pattern === undefined ? ffnGroups(read) : patternFfns(read, read.hybrid_override_pattern)
  const isMoe = ffns.some((group) => group.kind === 'moe')
  return {
    name,
    hidden: read.hidden_size,
    layers: read.num_hidden_layers,
    vocabulary: read.vocab_size,
    tiedEmbeddings: read.tie_word_embeddings ?? (read.model_type ?? '').startsWith('gemma'),
    contextTokens: read.max_position_embeddings,
    mixers: mixerGroups(read).filter((group) => group.layers > 0),
    ffns: ffns.filter((group) => group.layers > 0),
    fp4Scope: facts.fp4Scope ?? (isMoe ? 'ffn' : 'all'),
    expertBits: facts.expertBits,
  }
}

const anyObject = z.looseObject({})

/** Where multimodal models keep the language part. */
const languageParts = ['thinker_config', 'text_config', 'llm_config', 'language_config'] as const

/** What the configuration class of a family assumes where the file says nothing. */
const familyDefaults: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
  gemma2: { sliding_window_pattern: 2 },
  gemma3_text: {
    vocab_size: 262_208,
    num_attention_heads: 8,
    num_key_value_heads: 4,
    head_dim: 256,
    max_position_embeddings: 131_072,
    sliding_window_pattern: 6,
  },
}

/** The language part of a config, with its family's defaults; null stands for "not said". */
function flatten(config: unknown): unknown {
  const outer = anyObject.safeParse(config)
  if (!outer.success) return config
  const all: Record<string, unknown> = { ...outer.data }
  for (const part of languageParts) {
    const inner = anyObject.safeParse(all[part])
    if (inner.success) Object.assign(all, inner.data)
  }
  const said = Object.entries(all).filter(([, value]) => value !== null)
  const type = typeof all['model_type'] === 'string' ? all['model_type'] : ''
  return { ...familyDefaults[type], ...Object.fromEntries(said.map(([key, value]) => [key, scalar(value)])) }
}

/** Some files list a figure per layer: their mean weighs and computes the same. */
function scalar(value: unknown): unknown {
  const list = z.array(z.number()).nonempty().safeParse(value)
  return list.success ? Math.round(list.data.reduce((sum, one) => sum + one, 0) / list.data.length) : value
}

function mixerGroups(config: Config): readonly MixerGroup[] {
  const layers = config.num_hidden_layers
  if (config.hybrid_override_pattern !== undefined) {
    const attention = countLetters(config.hybrid_override_pattern, '*')
    return [gqa(config, attention, undefined), mamba(config, countLetters(config.hybrid_override_pattern, 'M'))]
  }
  if (config.kv_lora_rank !== undefined) return [mla(config, config.kv_lora_rank)]
  if (config.linear_num_value_heads !== undefined) {
    const full = config.full_attention_interval === undefined ? 0 : Math.floor(layers / config.full_attention_interval)
    const listed = config.layer_types?.filter((type) => type === 'full_attention').length
    const attention = listed ?? full
    return [gqa(config, attention, undefined), linear(config, layers - attention)]
  }
  const windowed = windowLayers(config)
  return [gqa(config, layers - windowed.layers, undefined), gqa(config, windowed.layers, windowed.tokens)]
}

/** How many layers look back over a window only, and how far. */
function windowLayers(config: Config): { readonly layers: number; readonly tokens: number | undefined } {
  const layers = config.num_hidden_layers
  // Llama 4: three of four layers attend within chunks; on average half a chunk behind, like a window of its size.
  if (config.attention_chunk_size !== undefined && config.sliding_window === undefined) {
    return { layers: layers - Math.floor(layers / 4), tokens: config.attention_chunk_size }
  }
  if (config.sliding_window === undefined || config.use_sliding_window === false)
    return { layers: 0, tokens: undefined }
  const listed = config.layer_types?.filter((type) => type === 'sliding_attention').length
  if (listed !== undefined) return { layers: listed, tokens: config.sliding_window }
  const pattern = config.sliding_window_pattern
  const full = pattern === undefined ? 0 : Math.floor(layers / pattern)
  return { layers: layers - full, tokens: config.sliding_window }
}

function gqa(config: Config, layers: number, window: number | undefined): MixerGroup {
  const keyDim =
    config.head_dim ?? config.attention_head_dim ?? Math.floor(config.hidden_size / config.num_attention_heads)
  return {
    kind: 'gqa',
    layers,
    heads: config.num_attention_heads,
    kvHeads: config.num_key_value_heads ?? config.num_attention_heads,
    keyDim,
    valueDim: config.v_head_dim ?? keyDim,
    window,
    outputGate: config.attn_output_gate ?? (config.model_type ?? '').startsWith('qwen3_next'),
    queryKeyNorm: config.use_qk_norm ?? /^(qwen3|gemma3)/.test(config.model_type ?? ''),
  }
}

function mla(config: Config, kvRank: number): MixerGroup {
  const { index_topk: topTokens, index_n_heads: heads, index_head_dim: dim } = config
  return {
    kind: 'mla',
    layers: config.num_hidden_layers,
    heads: config.num_attention_heads,
    queryRank: config.q_lora_rank ?? 0,
    kvRank,
    nopeDim: required(config, 'qk_nope_head_dim'),
    ropeDim: required(config, 'qk_rope_head_dim'),
    valueDim: required(config, 'v_head_dim'),
    indexer:
      topTokens === undefined || heads === undefined || dim === undefined ? undefined : { topTokens, heads, dim },
  }
}

function linear(config: Config, layers: number): MixerGroup {
  return {
    kind: 'linear',
    layers,
    keyHeads: required(config, 'linear_num_key_heads'),
    valueHeads: required(config, 'linear_num_value_heads'),
    keyDim: required(config, 'linear_key_head_dim'),
    valueDim: required(config, 'linear_value_head_dim'),
    convolution: config.linear_conv_kernel_dim ?? 4,
  }
}

function mamba(config: Config, layers: number): MixerGroup {
  return {
    kind: 'mamba',
    layers,
    heads: required(config, 'mamba_num_heads'),
    headDim: required(config, 'mamba_head_dim'),
    groups: config.n_groups ?? 1,
    stateDim: required(config, 'ssm_state_size'),
    convolution: config.conv_kernel ?? 4,
  }
}

function ffnGroups(config: Config): readonly FfnGroup[] {
  const layers = config.num_hidden_layers
  const experts =
    config.num_experts || config.num_local_experts || config.n_routed_experts || config.moe_num_experts || 0
  if (experts <= 1) refuseUnreadExperts(config)
  if (experts <= 1) return [dense(layers, required(config, 'intermediate_size'))]
  const leading = config.first_k_dense_replace ?? config.moe_layer_start_index ?? 0
  const step = config.interleave_moe_layer_step ?? config.decoder_sparse_step ?? 1
  const moeLayers = Math.floor((layers - leading) / step)
  const width = config.moe_intermediate_size ?? required(config, 'intermediate_size')
  // Llama 4 names the width of its dense layers apart from that of its experts.
  const denseWidth = config.intermediate_size_mlp ?? config.dense_intermediate_size ?? config.intermediate_size
  const moe: FfnGroup = {
    kind: 'moe',
    layers: moeLayers,
    experts,
    topExperts:
      config.num_experts_per_tok ?? config.moe_k ?? config.moe_topk ?? required(config, 'num_experts_per_token'),
    width,
    sharedWidth: sharedWidth(config, width),
    matrices: 3,
    expertHidden: config.hidden_size,
  }
  return layers === moeLayers ? [moe] : [dense(layers - moeLayers, denseWidth ?? width), moe]
}

/** A model whose experts go by a name unknown here must not pass for a dense one. */
function refuseUnreadExperts(config: Config): void {
  for (const [field, value] of Object.entries(config)) {
    const counts = /experts?(_per_tok(en)?)?$/.test(field) && typeof value === 'number' && value > 1
    if (!counts) continue
    throw new TokenmillError(
      'invalid_request',
      `Config of type '${config.model_type ?? '?'}' says '${field}': ${value}, but names no count of experts that is known here (num_experts, num_local_experts, n_routed_experts, moe_num_experts).`,
      { param: field },
    )
  }
}

function sharedWidth(config: Config, width: number): number {
  if (config.intermediate_size_mlp !== undefined) return width
  const stated =
    config.shared_expert_intermediate_size ??
    config.moe_shared_expert_intermediate_size ??
    config.shared_intermediate_size
  const shared =
    config.n_shared_experts ??
    config.num_shared_experts ??
    config.moe_num_shared_experts ??
    config.num_shared_expert ??
    0
  return stated ?? shared * width
}

/** NVIDIA's hybrids list their layers by letter: M Mamba, * attention, - dense, E experts. Squared ReLU, no gate. */
function patternFfns(config: Config, pattern: string): readonly FfnGroup[] {
  const groups: FfnGroup[] = []
  const plain = countLetters(pattern, '-')
  if (plain > 0) groups.push(dense(plain, required(config, 'intermediate_size'), 2))
  const moeLayers = countLetters(pattern, 'E')
  if (moeLayers > 0) {
    groups.push({
      kind: 'moe',
      layers: moeLayers,
      experts: required(config, 'n_routed_experts'),
      topExperts: required(config, 'num_experts_per_tok'),
      width: required(config, 'moe_intermediate_size'),
      sharedWidth: config.moe_shared_expert_intermediate_size ?? 0,
      matrices: 2,
      expertHidden: config.moe_latent_size ?? config.hidden_size,
    })
  }
  return groups
}

function dense(layers: number, width: number, matrices = 3): FfnGroup {
  return { kind: 'dense', layers, width, matrices }
}

function countLetters(pattern: string, letter: string): number {
  return pattern.split(letter).length - 1
}

function required(config: Config, field: string): number {
  const value = config[field]
  if (typeof value === 'number' && value > 0) return value
  throw new TokenmillError(
    'invalid_request',
    `Config of type '${config.model_type ?? '?'}' lacks '${field}', which its other fields call for.`,
    { param: field },
  )
}
