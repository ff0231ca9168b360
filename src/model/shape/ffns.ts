import { TokenmillError } from '../../core/index.ts'
import type { Config } from './config-fields.ts'
import { required } from './config-error.ts'
import { ffnMatrices } from './families.ts'
import { expertCount, type FfnKind, type Layer } from './layers.ts'
import type { DenseGroup, FfnGroup, MoeGroup } from './model-shape.ts'

/** Feed-forward parts of the layers, in groups of equal ones. */
export function ffnGroups(config: Config, layers: readonly Layer[]): readonly FfnGroup[] {
  const experts = expertCount(config)
  if (experts <= 1) refuseUnreadExperts(config)
  const matrices = ffnMatrices(config.model_type ?? '', config.mlp_hidden_act ?? config.hidden_act)
  const count = (...kinds: readonly FfnKind[]) => layers.filter(({ ffn }) => kinds.includes(ffn)).length
  const withExperts = count('experts', 'both')
  const groups: FfnGroup[] = denseGroups(config, layers, matrices)
  if (withExperts === 0) return groups
  groups.push(moe(config, withExperts, experts, matrices))
  const { vision_experts: vision } = config
  if (vision !== undefined) {
    const text = groups.at(-1)
    if (text?.kind === 'moe') {
      groups.push({ ...text, experts: vision.experts, width: vision.width, topExperts: 0, sharedWidth: 0 })
    }
  }
  return groups
}

function denseGroups(config: Config, layers: readonly Layer[], matrices: number): FfnGroup[] {
  const at = layers.flatMap(({ ffn }, index) => (ffn === 'dense' || ffn === 'both' ? [index] : []))
  if (at.length === 0) return []
  const width = denseWidth(config)
  // Gemma's small models widen the layers that read a neighbour's cache.
  const wide = config.use_double_wide_mlp === true ? layers.length - (config.num_kv_shared_layers ?? 0) : Infinity
  const plain = at.filter((index) => index < wide).length
  const group = (count: number, own: number): DenseGroup[] =>
    count === 0 ? [] : [{ kind: 'dense', layers: count, width: own, matrices }]
  return [...group(plain, width), ...group(at.length - plain, 2 * width)]
}

/** Llama 4 and MiniMax name the width of their dense layers apart from that of their experts. */
function denseWidth(config: Config): number {
  const named = config.intermediate_size_mlp ?? config.dense_intermediate_size
  if (named !== undefined) return named
  if (config.intermediate_size === undefined && config.moe_intermediate_size !== undefined)
    return config.moe_intermediate_size
  return required(config, 'intermediate_size', 'block_ff_dim')
}

function moe(config: Config, layers: number, experts: number, matrices: number): MoeGroup {
  const width = config.moe_intermediate_size ?? required(config, 'intermediate_size')
  return {
    kind: 'moe',
    layers,
    experts,
    topExperts: required(config, 'num_experts_per_tok', 'num_experts_per_token', 'top_k_experts', 'moe_k', 'moe_topk'),
    width,
    sharedWidth: sharedWidth(config, width),
    matrices,
    expertHidden: config.moe_latent_size ?? config.routed_expert_hidden_size ?? config.hidden_size,
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

/** A model whose experts go by a name unknown here must not pass for a dense one. */
function refuseUnreadExperts(config: Config): void {
  if (config.enable_moe_block === false) return
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
