import { z } from 'zod'
import { TokenmillError } from '../../core/index.ts'
import { configSchema, unreadFields, type Config } from './config-fields.ts'
import { defaultsOf, isTiedByDefault } from './families.ts'
import { ffnGroups } from './ffns.ts'
import { readLayers } from './layers.ts'
import { mixerGroups } from './mixers.ts'
import type { Fp4Scope, MixerGroup, ModelShape } from './model-shape.ts'
import { publishedFormatOf } from './quantization.ts'
import { towersOf } from './towers.ts'

/** What a config.json does not say about the checkpoint. */
export interface CheckpointFacts {
  readonly fp4Scope?: Fp4Scope
  readonly expertBits?: number
}

/** FP4 experts with a scale per block of 32, as DeepSeek and Moonshot publish them. */
const fp4ExpertBits = 4.25

/**
 * The shape that a Hugging Face `config.json` describes (its `text_config` for multimodal models, towers beside it).
 * Throws `invalid_request` naming the field that is missing, wrong, or not understood where layers depend on it;
 * other fields that speak of shape and are not understood are named in `unread`.
 */
export function shapeFromConfig(name: string, config: unknown, facts: CheckpointFacts = {}): ModelShape {
  const stated = flatten(config)
  const parsed = configSchema.safeParse(stated)
  if (!parsed.success) {
    const [issue] = parsed.error.issues
    const field = issue === undefined || issue.path.length === 0 ? 'the file' : issue.path.join('.')
    throw new TokenmillError('invalid_request', `Config of '${name}': ${field}: ${issue?.message}.`, { param: field })
  }
  const read = parsed.data
  const type = read.model_type ?? ''
  const layers = readLayers(read)
  const ffns = ffnGroups(read, layers).filter((group) => group.layers > 0)
  const mixers = mixerGroups(read, layers)
  const towers = towersOf(read, read.hidden_size)
  const published = publishedFormatOf(read)
  const perLayer = (read.vocab_size_per_layer_input ?? 0) * (read.hidden_size_per_layer_input ?? 0) * layers.length
  return {
    name,
    hidden: read.hidden_size,
    layers: layers.length,
    vocabulary: read.vocab_size,
    tiedEmbeddings: read.tie_word_embeddings ?? isTiedByDefault(type),
    contextTokens: read.max_position_embeddings,
    mixers,
    ffns,
    fp4Scope: facts.fp4Scope ?? (ffns.some((group) => group.kind === 'moe') ? 'ffn' : 'all'),
    expertBits: facts.expertBits ?? (read.expert_dtype === 'fp4' ? fp4ExpertBits : undefined),
    narrowBesideExperts: read.expert_dtype === 'fp4',
    publishedFormat:
      published !== undefined && 'format' in published
        ? published.format
        : read.expert_dtype === 'fp4'
          ? 'fp8'
          : undefined,
    asideWeights: towers.weights + perLayer,
    unread: [
      ...unreadFields(read, [...towers.read, ...partsRead]),
      ...unusedFields(read, mixers),
      ...(published !== undefined && 'unread' in published ? [published.unread] : []),
    ],
  }
}

/** Fields that are known, in a model whose layers have no use for them here. */
function unusedFields(config: Config, mixers: readonly MixerGroup[]): readonly string[] {
  const indexed = mixers.some(
    (group) => (group.kind === 'mla' || group.kind === 'compressed') && group.indexer !== undefined,
  )
  return config.index_topk !== undefined && !indexed ? ['index_topk'] : []
}

const anyObject = z.looseObject({})

/** Where multimodal models keep the language part. */
const languageParts = ['thinker_config', 'text_config', 'llm_config', 'language_config'] as const

/** Parts that are read elsewhere, or hold nothing of the shape. */
const partsRead = [
  ...languageParts,
  'quantization_config',
  'compression_config',
  'talker_config',
  'token2wav_config',
  'generation_config',
  'architectures',
]

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
  const stated: Record<string, unknown> = { ...defaultsOf(type), ...Object.fromEntries(said), ...modalityExperts(all) }
  const blocks = stated['layers_block_type']
  if (Array.isArray(blocks)) stated['num_hidden_layers'] ??= blocks.length
  return Object.fromEntries(Object.entries(stated).map(([key, value]) => [key, scalar(key, value)]))
}

/** ERNIE 4.5 VL lists experts of text and vision, in this order: text tokens never visit the second kind. */
function modalityExperts(config: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  const pair = z.tuple([z.number(), z.number()])
  const experts = pair.safeParse(config['moe_num_experts'])
  const widths = pair.safeParse(config['moe_intermediate_size'])
  if (!experts.success || !widths.success) return {}
  const first = (field: string) => {
    const both = pair.safeParse(config[field])
    return both.success ? { [field]: both.data[0] } : {}
  }
  return {
    moe_num_experts: experts.data[0],
    moe_intermediate_size: widths.data[0],
    vision_experts: { experts: experts.data[1], width: widths.data[1] },
    ...first('moe_layer_start_index'),
    ...first('moe_layer_end_index'),
  }
}

/** Lists that say something of each layer; the readers of layers take them whole. */
const layerLists: ReadonlySet<string> = new Set([
  'hybrid_layer_pattern',
  'attn_type_list',
  'compress_ratios',
  'moe_layer_freq',
  'moe_layers',
  'mlp_only_layers',
])

/** Some files list a width or count per layer: their mean weighs and computes the same. */
function scalar(key: string, value: unknown): unknown {
  if (layerLists.has(key) || !(key in configSchema.shape)) return value
  const list = z.array(z.number()).nonempty().safeParse(value)
  return list.success ? Math.round(list.data.reduce((sum, one) => sum + one, 0) / list.data.length) : value
}

/** Reads the text of a `config.json`; Python writes `Infinity` and `NaN` into some, which stand for "no limit". */
export function parseConfigText(text: string): unknown {
  return JSON.parse(
    text.replaceAll(/"(?:[^"\\]|\\.)*"|-?Infinity|NaN/g, (token) => (token.startsWith('"') ? token : 'null')),
  )
}
