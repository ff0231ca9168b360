import { z } from 'zod'

const count = z.number().int().positive()
const maybe = count.optional()
const orZero = z.number().int().min(0).optional()
const counts = z.array(z.number().int().min(0)).optional()
const kinds = z.array(z.string()).optional()
const flag = z.boolean().optional()

/** The fields of a Hugging Face `config.json` that a shape depends on, over all families that are known here. */
export const configSchema = z.looseObject({
  model_type: z.string().optional(),
  num_hidden_layers: count,
  hidden_size: count,
  vocab_size: count,
  max_position_embeddings: maybe,
  tie_word_embeddings: flag,

  // Attention heads, of all layers and of those that see everything or a window.
  num_attention_heads: count,
  num_key_value_heads: maybe,
  head_dim: maybe,
  attention_head_dim: maybe,
  v_head_dim: maybe,
  num_global_key_value_heads: maybe,
  global_head_dim: maybe,
  attention_k_eq_v: flag,
  swa_num_attention_heads: maybe,
  swa_num_key_value_heads: maybe,
  swa_head_dim: maybe,
  swa_v_head_dim: maybe,
  attn_output_gate: flag,
  use_qk_norm: flag,
  qk_norm: flag,

  // Which layer mixes tokens how.
  layer_types: kinds,
  layers_block_type: kinds,
  hybrid_override_pattern: z.string().optional(),
  hybrid_layer_pattern: counts,
  attn_type_list: counts,
  attn_layer_period: maybe,
  attn_layer_offset: orZero,
  full_attention_interval: maybe,
  sliding_window: maybe,
  sliding_window_size: maybe,
  use_sliding_window: flag,
  max_window_layers: orZero,
  sliding_window_pattern: z.union([count, z.string().regex(/^[LG]+$/), z.array(z.boolean())]).optional(),
  attention_chunk_size: maybe,
  use_cla: flag,
  cla_share_factor: maybe,
  num_kv_shared_layers: orZero,
  use_double_wide_mlp: flag,

  // Latent, sparse and compressed attention.
  q_lora_rank: maybe,
  kv_lora_rank: maybe,
  qk_nope_head_dim: maybe,
  qk_rope_head_dim: maybe,
  index_topk: maybe,
  index_n_heads: maybe,
  index_head_dim: maybe,
  compress_ratios: counts,
  o_groups: maybe,
  o_lora_rank: maybe,
  mla_use_output_gate: flag,

  // Linear attention, state spaces, convolutions.
  linear_key_head_dim: maybe,
  linear_num_key_heads: maybe,
  linear_num_value_heads: maybe,
  linear_value_head_dim: maybe,
  linear_conv_kernel_dim: maybe,
  linear_attn_config: z
    .looseObject({
      full_attn_layers: counts,
      kda_layers: counts,
      head_dim: count,
      num_heads: count,
      short_conv_kernel_size: maybe,
      use_full_rank_gate: flag,
    })
    .optional(),
  mamba_head_dim: maybe,
  mamba_d_head: maybe,
  mamba_num_heads: maybe,
  mamba_n_heads: maybe,
  mamba_n_groups: maybe,
  n_groups: maybe,
  ssm_state_size: maybe,
  mamba_d_state: maybe,
  conv_kernel: maybe,
  mamba_d_conv: maybe,
  mamba_expand: maybe,
  mamba_dt_rank: z.union([count, z.literal('auto')]).optional(),
  conv_L_cache: maybe,

  // Feed-forward parts.
  intermediate_size: maybe,
  intermediate_size_mlp: maybe,
  dense_intermediate_size: maybe,
  block_ff_dim: maybe,
  hidden_act: z.string().optional(),
  hidden_activation: z.string().optional(),
  mlp_hidden_act: z.string().optional(),
  num_experts: orZero,
  num_local_experts: orZero,
  n_routed_experts: orZero,
  moe_num_experts: orZero,
  num_experts_per_tok: maybe,
  num_experts_per_token: maybe,
  top_k_experts: maybe,
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
  enable_moe_block: flag,
  moe_latent_size: maybe,
  routed_expert_hidden_size: maybe,
  vision_experts: z.looseObject({ experts: count, width: count }).optional(),
  expert_dtype: z.string().optional(),

  // Which layers have experts.
  first_k_dense_replace: orZero,
  num_dense_layers: orZero,
  moe_layer_start_index: orZero,
  moe_layer_end_index: orZero,
  moe_layer_interval: maybe,
  moe_layer_freq: z.union([count, z.array(z.number().int().min(0))]).optional(),
  moe_layers: counts,
  mlp_only_layers: counts,
  mlp_layer_types: kinds,
  interleave_moe_layer_step: maybe,
  decoder_sparse_step: maybe,
  expert_layer_period: maybe,
  expert_layer_offset: orZero,

  // Embeddings looked up per layer.
  hidden_size_per_layer_input: orZero,
  vocab_size_per_layer_input: orZero,
})

export type Config = z.infer<typeof configSchema>

/** Fields that look like shape by their name and change neither memory nor time by as much as 0.1 %. */
const immaterial =
  /^(initializer_range|.*(dropout|drop_rate|_eps|epsilon|_bias|_coef|_alpha|_beta|_scale|scaling.*|_factor|_theta|_token_id|_token_index|_impl|_logits?|_limit|_bound|_loss.*|_norm|_renormalize|_score.*|_act|_fn|_method|_func|_floor|_min|_max|_init_.*|_softcap.*|_rms.*|_multiplier|_dtype)$|pretraining_tp|use_cache|use_bias|use_return_dict|norm_.*|rope.*|partial_rotary.*|rotary.*|router_.*|scoring.*|topk_(method|group)|n_group|num_expert_group|logit.*|query_pre_attn.*|.*position_embedding.*|use_gate.*|gate_lower_bound|cache_implementation|chunk_size_feed_forward|mlp_type|torch_dtype|dtype|num_hash_layers|num_nextn_predict_layers|num_mtp_.*|mtp_.*|no_rope_.*|nope_.*|time_step.*|time_step_limit|.*chunk_size|mamba_.*bias|mamba_hidden_act|mamba_ssm.*|use_mamba_kernels|mamba_proj_bias|conv_bias|embed.*|resid.*|original_max_position.*|image.*|video.*|vision_(start|end|token).*|audio_token.*|use_mixed_mlp_moe|moe_gate.*|moe_use_.*|moe_router.*|moe_layer_norm.*|moe_group.*|moe_norm.*|moe_capacity|moe_dropout.*|mla_use_nope|layernorm.*|hidden_size_per_head|use_expert_bias|num_logits.*|attn_res_block_size|latent_moe_use_norm|is_.*|add_cross_attention|cross_attention_hidden_size|output_.*|freq.*|downsample_ratio|max_.*|min_.*|index_topk_freq|eod_.*|tokenizer.*|transformers_version|num_labels|num_beams.*|num_return.*|pruned_heads)$/

/** Names that speak of layers, heads, widths, caches and the like. */
const shapely =
  /(layer|head|expert|hidden|intermediate|_size|_dim|dims?$|rank|window|(^|_)kv|cache|share|period|interval|pattern|freq|ratio|moe|mlp|ffn|attn|attention|block|compress|conv|state|mamba|ssm|gram|mtp|lora|adapter|vision|audio|depth|width|types?$)/i

/**
 * Fields that seem to describe shape and that nothing here reads: numbers above 1, lists, patterns and nested parts
 * under a name that speaks of shape.
 */
export function unreadFields(
  config: Readonly<Record<string, unknown>>,
  alsoRead: readonly string[],
): readonly string[] {
  return Object.entries(config).flatMap(([field, value]) => {
    if (field in configSchema.shape || alsoRead.includes(field)) return []
    if (immaterial.test(field) || !shapely.test(field)) return []
    return describesShape(value) ? [field] : []
  })
}

function describesShape(value: unknown): boolean {
  if (typeof value === 'number') return value > 1
  if (Array.isArray(value)) return value.length > 0
  if (typeof value === 'boolean') return value
  return typeof value === 'object' && value !== null && Object.keys(value).length > 0
}
