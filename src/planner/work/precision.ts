import { TokenmillError } from '../../core/index.ts'
import { countWeights, nearestNames, type ModelShape, type WeightCounts } from '../../model/index.ts'
import type { ComputeFormat, Hardware } from './hardware.ts'
import formats from './facts/precisions.json' with { type: 'json' }

/** A way to store numbers: what a weight costs with its scales, and in which units it is multiplied. */
export interface NumberFormat {
  readonly id: string
  readonly name: string
  /** Bits per weight, block and tensor scales included. */
  readonly bits: number
  /** Where the bits come from: `4 + 8/16 (E4M3 scale per 16)`. */
  readonly layout: string
  /** Units it multiplies in when the GPU has them; weight-only formats multiply in BF16. */
  readonly compute: ComputeFormat
  /** Activations stay wide: bytes are saved, arithmetic is not, and each weight is expanded on the way. */
  readonly weightOnly?: boolean
  /** Embeddings and head are stored in it too, as in GGUF files; elsewhere they stay in BF16. */
  readonly wholeModel?: boolean
  /** Rows and columns that share a scale; a GPU's shard of a matrix is whole blocks. */
  readonly block?: number
  readonly accuracy?: readonly { readonly result: string; readonly source: string }[]
  readonly source: string
}

export const numberFormats: readonly NumberFormat[] = formats as readonly NumberFormat[]

/** Finds a format by id. Throws `invalid_request` with the nearest names. */
export function resolveFormat(name: string): NumberFormat {
  const wanted = name.toLowerCase().replace(/[^a-z0-9]/g, '')
  const found = numberFormats.find((format) => format.id.replace(/[^a-z0-9]/g, '') === wanted)
  if (found !== undefined) return found
  const near = nearestNames(
    name,
    numberFormats.map(({ id }) => id),
  )
  throw new TokenmillError('invalid_request', `Precision '${name}' is not known. Nearest: ${near.join(', ')}.`, {
    param: 'precision',
    available: near,
  })
}

/** How one checkpoint stores and multiplies a model's parts. */
export interface PrecisionPlan {
  readonly format: NumberFormat
  /** Bits per weight by role. The router stays in BF16. */
  readonly mixerBits: number
  readonly denseBits: number
  readonly routedBits: number
  readonly embeddingBits: number
  readonly mixerCompute: ComputeFormat
  readonly denseCompute: ComputeFormat
  readonly routedCompute: ComputeFormat
  /** Bytes per element of the KV cache. */
  readonly kvBytes: number
  readonly weightOnly: boolean
}

/**
 * What a precision label means for a model. FP4 checkpoints store in FP4 what the publisher's quantization file
 * lists (`fp4Scope`) and the rest in BF16; the other formats cover every linear layer.
 */
export function planPrecision(shape: ModelShape, gpu: Hardware, format: NumberFormat, kvBytes: number): PrecisionPlan {
  const narrow = format.bits < 6 && format.weightOnly !== true
  const scope = narrow ? shape.fp4Scope : 'all'
  // A model that is only published with narrow experts keeps them under every label but 16 bits.
  const published = shape.expertBits !== undefined && format.bits < 16
  const units = published ? 'fp4' : format.compute
  // Without units of the format, weights are expanded to BF16 on the way to the multiplication.
  const weightOnly = format.weightOnly === true || gpu.denseTflops[units] === undefined
  const inScope = (role: 'mixer' | 'dense' | 'routed') => {
    if (published) return role === 'routed' || shape.narrowBesideExperts
    if (scope === 'all' || role === 'routed') return true
    return scope === 'ffn' && role === 'dense'
  }
  const bits = (role: 'mixer' | 'dense' | 'routed') => {
    if (!inScope(role)) return 16
    if (!published) return format.bits
    return role === 'routed' ? (shape.expertBits ?? format.bits) : Math.max(8, format.bits)
  }
  const compute = (role: 'mixer' | 'dense' | 'routed'): ComputeFormat =>
    inScope(role) && !weightOnly ? format.compute : 'bf16'
  return {
    format,
    mixerBits: bits('mixer'),
    denseBits: bits('dense'),
    routedBits: bits('routed'),
    embeddingBits: format.wholeModel === true ? format.bits : 16,
    mixerCompute: compute('mixer'),
    denseCompute: compute('dense'),
    routedCompute: compute('routed'),
    kvBytes,
    weightOnly,
  }
}

/** Bytes of all weights. */
export function weightBytes(
  shape: ModelShape,
  plan: PrecisionPlan,
  counts: WeightCounts = countWeights(shape),
): number {
  const embeddings = counts.embedding * (shape.tiedEmbeddings ? 1 : 2)
  return (
    (counts.mixers * plan.mixerBits +
      counts.dense * plan.denseBits +
      counts.routed * plan.routedBits +
      embeddings * plan.embeddingBits) /
      8 +
    2 * (counts.router + counts.aside)
  )
}

/**
 * Bytes per KV element when nobody says: FP8 where checkpoint or recipe bring it: every engine on Blackwell, and
 * dense FP8 checkpoints (NVIDIA's carry KV scales); else BF16.
 */
export function defaultKvBytes(gpu: Hardware, format: NumberFormat, shape: ModelShape): number {
  if (format.bits >= 16 || format.weightOnly === true || gpu.denseTflops.fp8 === undefined) return 2
  if (gpu.generation.startsWith('blackwell')) return 1
  return shape.ffns.some((group) => group.kind === 'moe') ? 2 : 1
}
