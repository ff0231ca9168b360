import type { Config } from './config-fields.ts'
import { checkPerLayer, unknownValue } from './config-error.ts'

/** How a layer mixes tokens; `none` for layers that are a feed-forward part alone. */
export type MixerKind =
  | 'full'
  | 'window'
  | 'latent'
  | 'linear'
  | 'mamba'
  | 'selective'
  | 'convolution'
  | 'none'
  | { readonly ratio: number }

/** What follows it; `both`: a dense part beside experts. */
export type FfnKind = 'dense' | 'experts' | 'both' | 'none'

export interface Layer {
  readonly mixer: MixerKind
  readonly ffn: FfnKind
}

/** What each layer is made of, from whichever fields the family says it with. Throws `invalid_request` naming a value that is not known. */
export function readLayers(config: Config): readonly Layer[] {
  const blocks = blockLetters(config)
  if (blocks !== undefined) return blocks
  const mixers = mixerKinds(config)
  return mixers.map((mixer, index) => ({ mixer, ffn: ffnKind(config, index) }))
}

/** NVIDIA's hybrids have one part per layer: M Mamba-2, * attention, - dense, E experts; newer files spell them out. */
function blockLetters(config: Config): readonly Layer[] | undefined {
  const { hybrid_override_pattern: letters, layers_block_type: words } = config
  const field = letters === undefined ? 'layers_block_type' : 'hybrid_override_pattern'
  const blocks = letters === undefined ? words : letters.split('').filter((letter) => letter !== '|')
  if (blocks === undefined) return undefined
  const known: Readonly<Record<string, Layer>> = {
    M: { mixer: 'mamba', ffn: 'none' },
    '*': { mixer: 'full', ffn: 'none' },
    '-': { mixer: 'none', ffn: 'dense' },
    E: { mixer: 'none', ffn: 'experts' },
    mamba: { mixer: 'mamba', ffn: 'none' },
    mamba2: { mixer: 'mamba', ffn: 'none' },
    attention: { mixer: 'full', ffn: 'none' },
    mlp: { mixer: 'none', ffn: 'dense' },
    moe: { mixer: 'none', ffn: 'experts' },
  }
  return blocks.map((block) => {
    const layer = known[block]
    if (layer === undefined) throw unknownValue(config, field, block, Object.keys(known).join(', '))
    return layer
  })
}

function mixerKinds(config: Config): readonly MixerKind[] {
  const layers = config.num_hidden_layers
  const each = (kind: (index: number) => MixerKind) => Array.from({ length: layers }, (_, index) => kind(index))
  const listed = <T>(field: string, list: readonly T[], kind: (entry: T) => MixerKind) => {
    checkPerLayer(config, field, list.length, layers)
    return list.slice(0, layers).map(kind)
  }
  const code = (field: string, kinds: Readonly<Record<number, MixerKind>>) => (entry: number) => {
    const kind = kinds[entry]
    if (kind === undefined) throw unknownValue(config, field, entry, Object.keys(kinds).join(', '))
    return kind
  }
  if (config.compress_ratios !== undefined)
    return listed('compress_ratios', config.compress_ratios, (ratio) => ({ ratio }))
  if (config.linear_attn_config !== undefined) {
    const { full_attn_layers: full = [], kda_layers: linear = [] } = config.linear_attn_config
    return each((index) => {
      if (full.includes(index + 1)) return config.kv_lora_rank === undefined ? 'full' : 'latent'
      if (linear.includes(index + 1)) return 'linear'
      throw unknownValue(config, 'linear_attn_config', { layer: index + 1 }, 'each layer in one of its lists')
    })
  }
  if (config.kv_lora_rank !== undefined) return each(() => 'latent')
  if (config.attn_type_list !== undefined) {
    return listed('attn_type_list', config.attn_type_list, code('attn_type_list', { 0: 'linear', 1: 'full' }))
  }
  if (config.hybrid_layer_pattern !== undefined) {
    return listed(
      'hybrid_layer_pattern',
      config.hybrid_layer_pattern,
      code('hybrid_layer_pattern', { 0: 'full', 1: 'window' }),
    )
  }
  if (config.layer_types !== undefined) {
    return listed('layer_types', config.layer_types, (type) => namedMixer(config, type))
  }
  if (config.attn_layer_period !== undefined) {
    const { attn_layer_period: period, attn_layer_offset: offset = 0 } = config
    return each((index) => (index % period === offset ? 'full' : 'selective'))
  }
  if (config.linear_num_value_heads !== undefined) {
    const interval = config.full_attention_interval
    return each((index) => (interval !== undefined && (index + 1) % interval === 0 ? 'full' : 'linear'))
  }
  return each(windowed(config))
}

function namedMixer(config: Config, type: string): MixerKind {
  const known: Readonly<Record<string, MixerKind>> = {
    full_attention: 'full',
    attention: 'full',
    global: 'full',
    global_attention: 'full',
    sliding_attention:
      config.sliding_window === undefined && config.sliding_window_size === undefined ? 'full' : 'window',
    local_attention: 'window',
    chunked_attention: 'window',
    linear_attention: 'linear',
    mamba: 'mamba',
    mamba2: 'mamba',
    selective: 'selective',
    conv: 'convolution',
  }
  const kind = known[type]
  if (kind === undefined) throw unknownValue(config, 'layer_types', type, Object.keys(known).join(', '))
  return kind
}

/** Which layers look back over a window only, where no list says so. */
function windowed(config: Config): (index: number) => MixerKind {
  // Llama 4: three of four layers attend within chunks; on average half a chunk behind, like a window of its size.
  if (config.attention_chunk_size !== undefined && config.sliding_window === undefined) {
    return (index) => ((index + 1) % 4 === 0 ? 'full' : 'window')
  }
  if (config.sliding_window === undefined || config.use_sliding_window === false) return () => 'full'
  const pattern = config.sliding_window_pattern
  if (pattern === undefined) {
    const full = config.use_sliding_window === true ? (config.max_window_layers ?? 0) : 0
    return (index) => (index < full ? 'full' : 'window')
  }
  if (typeof pattern === 'number') return (index) => ((index + 1) % pattern === 0 ? 'full' : 'window')
  if (typeof pattern === 'string') return (index) => (pattern[index % pattern.length] === 'G' ? 'full' : 'window')
  return (index) => (pattern[index % pattern.length] === true ? 'window' : 'full')
}

function ffnKind(config: Config, index: number): FfnKind {
  if (config.enable_moe_block === true) return 'both'
  if (!hasExperts(config)) return 'dense'
  return isExpertLayer(config, index) ? 'experts' : 'dense'
}

/** Routed experts as the families name them; 0 or 1 is a dense model. */
export function expertCount(config: Config): number {
  return config.num_experts || config.num_local_experts || config.n_routed_experts || config.moe_num_experts || 0
}

function hasExperts(config: Config): boolean {
  return expertCount(config) > 1
}

function isExpertLayer(config: Config, index: number): boolean {
  const { moe_layer_freq: freq, moe_layers: layers, mlp_layer_types: types } = config
  if (Array.isArray(freq)) {
    checkPerLayer(config, 'moe_layer_freq', freq.length, config.num_hidden_layers)
    return freq[index] !== 0
  }
  if (layers !== undefined) return layers.includes(index)
  if (types !== undefined) {
    checkPerLayer(config, 'mlp_layer_types', types.length, config.num_hidden_layers)
    const type = types[index] ?? ''
    if (!['dense', 'sparse'].includes(type)) throw unknownValue(config, 'mlp_layer_types', type, 'dense, sparse')
    return type === 'sparse'
  }
  if (config.mlp_only_layers?.includes(index) === true) return false
  if (config.expert_layer_period !== undefined) {
    return index % config.expert_layer_period === (config.expert_layer_offset ?? 0)
  }
  const leading = config.first_k_dense_replace ?? config.moe_layer_start_index ?? config.num_dense_layers ?? 0
  if (index < leading || index > (config.moe_layer_end_index ?? Infinity)) return false
  if (freq !== undefined) return index % freq === 0
  const step = config.interleave_moe_layer_step ?? config.decoder_sparse_step ?? config.moe_layer_interval ?? 1
  return (index + 1) % step === 0
}
