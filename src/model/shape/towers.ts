import { z } from 'zod'

const count = z.number().int().positive().optional()

/** The sizes of a vision or audio tower, as the families name them. */
const towerSchema = z.looseObject({
  model_type: z.string().optional(),
  embed_dim: count,
  hidden_size: count,
  d_model: count,
  vt_hidden_size: count,
  depth: count,
  num_hidden_layers: count,
  encoder_layers: count,
  vt_num_hidden_layers: count,
  intermediate_size: count,
  encoder_ffn_dim: count,
  vt_intermediate_size: count,
  mlp_ratio: z.number().positive().optional(),
})

/** Parts of a config that hold a tower. */
const towerParts = ['vision_config', 'audio_config', 'vision_tower_config'] as const

/** Towers whose feed-forward part has a gate. */
const gatedTowers = /^(pixtral|qwen2_5_vl|glm4v|glm4v_moe|gemma4_vision|mllama_vision)/

export interface Towers {
  readonly weights: number
  /** Parts whose sizes are not understood. */
  readonly unread: readonly string[]
  /** Parts that were counted. */
  readonly read: readonly string[]
}

/**
 * Weights of the towers beside a language model: per layer 4·d² of attention and the feed-forward part, and a
 * projector into the language model. Patches and positions (under 1 % of a tower) are left out.
 */
export function towersOf(config: Readonly<Record<string, unknown>>, hidden: number): Towers {
  let weights = 0
  const unread: string[] = []
  const read: string[] = []
  for (const part of towerParts) {
    if (config[part] === undefined || config[part] === null) continue
    const tower = towerSchema.safeParse(config[part])
    const counted = tower.success ? towerWeights(tower.data, hidden, config) : undefined
    if (counted === undefined) unread.push(part)
    else {
      weights += counted
      read.push(part)
    }
  }
  return { weights, unread, read }
}

function towerWeights(
  tower: z.infer<typeof towerSchema>,
  hidden: number,
  config: Readonly<Record<string, unknown>>,
): number | undefined {
  // Qwen's towers call the width that they hand over `hidden_size`, and their own `embed_dim`.
  const width = tower.embed_dim ?? tower.vt_hidden_size ?? tower.d_model ?? tower.hidden_size
  const layers = tower.depth ?? tower.num_hidden_layers ?? tower.encoder_layers ?? tower.vt_num_hidden_layers
  if (width === undefined || layers === undefined) return undefined
  const inner =
    tower.intermediate_size ?? tower.encoder_ffn_dim ?? tower.vt_intermediate_size ?? (tower.mlp_ratio ?? 4) * width
  const matrices = gatedTowers.test(tower.model_type ?? '') ? 3 : 2
  return layers * (4 * width ** 2 + matrices * width * inner) + projectorWeights(width, hidden, config)
}

/** Two layers into the language model; neighbouring patches are joined first where a downsampling says so. */
function projectorWeights(width: number, hidden: number, config: Readonly<Record<string, unknown>>): number {
  const ratio = config['downsample_ratio']
  const joined = typeof ratio === 'number' && ratio > 0 && ratio <= 1 ? width / ratio ** 2 : width
  return joined * hidden + hidden ** 2
}
