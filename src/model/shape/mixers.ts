import type { Config } from './config-fields.ts'
import { required } from './config-error.ts'
import { hasQueryKeyNorm } from './families.ts'
import type { Layer, MixerKind } from './layers.ts'
import type {
  CompressedGroup,
  GqaGroup,
  LinearGroup,
  MambaGroup,
  MixerGroup,
  MlaGroup,
  SelectiveGroup,
} from './model-shape.ts'

/** Layers of one kind become a group; layers without token mixing are in none. */
export function mixerGroups(config: Config, layers: readonly Layer[]): readonly MixerGroup[] {
  const indices = new Map<string, { readonly kind: MixerKind; readonly at: number[] }>()
  layers.forEach(({ mixer }, index) => {
    const key = JSON.stringify(mixer)
    const group = indices.get(key) ?? { kind: mixer, at: [] }
    group.at.push(index)
    indices.set(key, group)
  })
  // Layers that see everything come first, whatever the order in the model.
  return [...indices.values()]
    .toSorted((a, b) => Number(b.kind === 'full') - Number(a.kind === 'full'))
    .flatMap(({ kind, at }) => mixerGroup(config, kind, at, layers.length))
}

function mixerGroup(config: Config, kind: MixerKind, at: readonly number[], all: number): readonly MixerGroup[] {
  const layers = at.length
  if (typeof kind === 'object') return [compressed(config, layers, kind.ratio)]
  switch (kind) {
    case 'full':
    case 'window':
      return [attention(config, kind, at, all)]
    case 'latent':
      return [latent(config, layers)]
    case 'linear':
      return [linear(config, layers)]
    case 'mamba':
      return [mamba(config, layers)]
    case 'selective':
      return [selective(config, layers)]
    case 'convolution':
      return [{ kind: 'convolution', layers, taps: config.conv_L_cache ?? 3 }]
    case 'none':
      return []
  }
}

function attention(config: Config, kind: 'full' | 'window', at: readonly number[], all: number): GqaGroup {
  const own =
    config.head_dim ?? config.attention_head_dim ?? Math.floor(config.hidden_size / config.num_attention_heads)
  const full = kind === 'full'
  const keyDim = (full ? config.global_head_dim : config.swa_head_dim) ?? own
  const valueDim = (full ? config.global_head_dim : config.swa_v_head_dim) ?? config.v_head_dim ?? keyDim
  const heads = (full ? undefined : config.swa_num_attention_heads) ?? config.num_attention_heads
  const kvHeads =
    (full ? config.num_global_key_value_heads : config.swa_num_key_value_heads) ??
    config.num_key_value_heads ??
    config.num_attention_heads
  return {
    kind: 'gqa',
    layers: at.length,
    cachedLayers: layersWithCache(config, at, all),
    heads,
    kvHeads,
    keyDim,
    valueDim,
    valueIsKey: full && config.attention_k_eq_v === true,
    window: full ? undefined : (config.sliding_window ?? config.sliding_window_size ?? config.attention_chunk_size),
    outputGate: config.attn_output_gate ?? false,
    queryKeyNorm: config.use_qk_norm ?? config.qk_norm ?? hasQueryKeyNorm(config.model_type ?? ''),
  }
}

/** Cross-layer attention: groups of neighbours share one cache (arXiv 2405.12981), or the last layers read earlier ones. */
function layersWithCache(config: Config, at: readonly number[], all: number): number {
  const share = config.use_cla === false ? 1 : (config.cla_share_factor ?? 1)
  const shared = config.num_kv_shared_layers ?? 0
  return at.filter((index) => index % share === 0 && index < all - shared).length
}

function latent(config: Config, layers: number): MlaGroup {
  const { index_topk: topTokens, index_n_heads: heads, index_head_dim: dim } = config
  return {
    kind: 'mla',
    layers,
    heads: config.num_attention_heads,
    queryRank: config.q_lora_rank ?? 0,
    kvRank: required(config, 'kv_lora_rank'),
    nopeDim: required(config, 'qk_nope_head_dim'),
    ropeDim: required(config, 'qk_rope_head_dim'),
    valueDim: required(config, 'v_head_dim'),
    outputGate: config.mla_use_output_gate ?? false,
    indexer:
      topTokens === undefined || heads === undefined || dim === undefined ? undefined : { topTokens, heads, dim },
  }
}

/** Only the finer compression is dense enough to need an indexer. */
const indexedRatio = 4

function compressed(config: Config, layers: number, ratio: number): CompressedGroup {
  const { index_topk: topEntries, index_n_heads: heads, index_head_dim: dim } = config
  const indexed = ratio > 0 && ratio <= indexedRatio
  return {
    kind: 'compressed',
    layers,
    heads: config.num_attention_heads,
    headDim: required(config, 'head_dim'),
    queryRank: required(config, 'q_lora_rank'),
    outputGroups: required(config, 'o_groups'),
    outputRank: required(config, 'o_lora_rank'),
    ratio,
    window: required(config, 'sliding_window'),
    indexer:
      !indexed || topEntries === undefined || heads === undefined || dim === undefined
        ? undefined
        : { topEntries, heads, dim },
  }
}

function linear(config: Config, layers: number): LinearGroup {
  if (config.linear_attn_config !== undefined) {
    const {
      num_heads: heads,
      head_dim: dim,
      short_conv_kernel_size: taps,
      use_full_rank_gate: full,
    } = config.linear_attn_config
    return {
      kind: 'linear',
      layers,
      keyHeads: heads,
      valueHeads: heads,
      keyDim: dim,
      valueDim: dim,
      convolution: taps ?? 4,
      headGates: 2,
      gateRank: full === true ? 0 : dim,
    }
  }
  if (config.attn_type_list !== undefined) {
    const heads = config.num_attention_heads
    const dim = config.head_dim ?? Math.floor(config.hidden_size / heads)
    const sizes = { keyHeads: heads, valueHeads: heads, keyDim: dim, valueDim: dim }
    return { kind: 'linear', layers, ...sizes, convolution: 0, headGates: 0, gateRank: 0 }
  }
  return {
    kind: 'linear',
    layers,
    keyHeads: required(config, 'linear_num_key_heads'),
    valueHeads: required(config, 'linear_num_value_heads'),
    keyDim: required(config, 'linear_key_head_dim'),
    valueDim: required(config, 'linear_value_head_dim'),
    convolution: config.linear_conv_kernel_dim ?? 4,
    headGates: 2,
    gateRank: 0,
  }
}

function mamba(config: Config, layers: number): MambaGroup {
  return {
    kind: 'mamba',
    layers,
    heads: required(config, 'mamba_num_heads', 'mamba_n_heads'),
    headDim: required(config, 'mamba_head_dim', 'mamba_d_head'),
    groups: config.n_groups ?? config.mamba_n_groups ?? 1,
    stateDim: required(config, 'ssm_state_size', 'mamba_d_state'),
    convolution: config.conv_kernel ?? config.mamba_d_conv ?? 4,
  }
}

function selective(config: Config, layers: number): SelectiveGroup {
  const rank = config.mamba_dt_rank
  return {
    kind: 'selective',
    layers,
    inner: (config.mamba_expand ?? 2) * config.hidden_size,
    stateDim: config.mamba_d_state ?? 16,
    timeRank: typeof rank === 'number' ? rank : Math.ceil(config.hidden_size / 16),
    convolution: config.mamba_d_conv ?? 4,
  }
}
