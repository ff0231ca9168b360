import {
  cacheElementsPerToken,
  countWeights,
  stateElements,
  type MixerGroup,
  type ModelShape,
} from '../../model/index.ts'
import { type Deployment, gpuCount } from './deployment.ts'
import { type Hardware, peakTflops } from './hardware.ts'
import { type PrecisionPlan, weightBytes } from './precision.ts'

/** Everything of a deployment that does not depend on the load, counted once. */
export interface DeploymentFacts {
  readonly deployment: Deployment
  readonly gpus: number
  /** Kernels of one step that the GPU runs one after the other, however small they are. */
  readonly kernels: number
  readonly moeLayers: number
  readonly weightBytes: number
  /** Weight bytes on the fullest GPU. */
  readonly weightBytesPerGpu: number
  /** KV bytes that one token keeps on one GPU of its attention group (first `layers/pp` layers). */
  readonly kvBytesPerTokenPerGpu: number
  /** The same over windowed layers only, which keep at most their window. */
  readonly windowKv: readonly { readonly tokens: number; readonly bytesPerToken: number }[]
  /** Bytes of linear-attention state per sequence and GPU. */
  readonly stateBytesPerGpu: number
  readonly denseReadBytes: number
  readonly denseFlopsMs: number
  readonly headReadBytes: number
  readonly routed: readonly {
    readonly experts: number
    readonly topExperts: number
    readonly layers: number
    /** Bytes of one expert of one layer, whole. */
    readonly bytes: number
    readonly flopsMsPerToken: number
  }[]
  readonly linkGbS: number
}

export function factsOf(deployment: Deployment): DeploymentFacts {
  const { shape, gpu, precision, tp, pp, dp } = deployment
  const gpus = gpuCount(deployment)
  const counts = countWeights(shape)
  const rate = (format: Parameters<typeof peakTflops>[1]) => peakTflops(gpu, format).tflops * 1e9
  const mixerRate = rate(precision.mixerCompute)
  const denseRate = rate(precision.denseCompute)
  const routedRate = rate(precision.routedCompute)
  const stage = tp * pp
  const denseReadBytes = (counts.mixers * precision.mixerBits + counts.dense * precision.denseBits) / 8 / stage
  const embedding = (counts.embedding * precision.embeddingBits) / 8
  const embeddings = embedding * (shape.tiedEmbeddings ? 1 : 2)
  const routedBytes = (counts.routed * precision.routedBits) / 8 / gpus
  const routed = shape.ffns.flatMap((group) => {
    if (group.kind !== 'moe') return []
    const weights = group.matrices * group.expertHidden * group.width
    return [
      {
        experts: group.experts,
        topExperts: group.topExperts,
        layers: group.layers,
        bytes: (weights * precision.routedBits) / 8,
        flopsMsPerToken: (2 * weights * group.topExperts * group.layers) / gpus / routedRate,
      },
    ]
  })
  const cached = shape.mixers.map((group) => ({
    window: group.kind === 'gqa' ? group.window : undefined,
    bytes: (group.layers * cacheElementsPerToken(group) * precision.kvBytes) / kvSplit(group, tp) / pp,
  }))
  return {
    deployment,
    gpus,
    kernels: kernelCount(shape, precision),
    moeLayers: shape.ffns.reduce((sum, group) => sum + (group.kind === 'moe' ? group.layers : 0), 0),
    weightBytes: weightBytes(shape, precision, counts),
    weightBytesPerGpu: denseReadBytes + embeddings / tp / Math.min(pp, 2) + (2 * counts.router) / pp + routedBytes,
    kvBytesPerTokenPerGpu: cached.reduce((sum, one) => sum + (one.window === undefined ? one.bytes : 0), 0),
    windowKv: cached.flatMap((one) =>
      one.window === undefined || one.bytes === 0 ? [] : [{ tokens: one.window, bytesPerToken: one.bytes }],
    ),
    stateBytesPerGpu: shape.mixers.reduce((sum, group) => sum + (4 * group.layers * stateElements(group)) / tp / pp, 0),
    denseReadBytes: denseReadBytes * pp,
    denseFlopsMs:
      (2 * (counts.mixers / mixerRate + (counts.dense + counts.router + counts.embedding) / denseRate)) / tp,
    headReadBytes: embedding / tp,
    routed,
    linkGbS: linkRate(gpu, tp * dp),
  }
}

/**
 * Kernels that follow one another in a layer, by kind; each costs a launch and a drain of the GPU even when its
 * bytes are few. Counted from the layer's definition: norm, projections, position, cache write, attention and its
 * reduction, output; the feed-forward part likewise; routing, sorting and gathering around experts. Activations
 * that are multiplied in a narrow format are quantised first, in one kernel per projection.
 */
const kernelsPerLayer = { gqa: 6, mla: 12, linear: 10, mamba: 7, dense: 4, moe: 8, moeFused: 5, shared: 3 } as const

function kernelCount(shape: ModelShape, plan: PrecisionPlan): number {
  let count = 0
  const quantised = (format: string) => (format === 'bf16' ? 0 : 2)
  for (const group of shape.mixers) {
    const norms = group.kind === 'gqa' && group.queryKeyNorm ? 2 : 0
    count += group.layers * (kernelsPerLayer[group.kind] + norms + quantised(plan.mixerCompute))
  }
  for (const group of shape.ffns) {
    if (group.kind === 'dense') {
      count += group.layers * (kernelsPerLayer.dense + quantised(plan.denseCompute))
      continue
    }
    // FP4 experts run in kernels that route, multiply and activate in one go.
    const fused = plan.routedBits < 8 && !plan.weightOnly
    count += group.layers * (fused ? kernelsPerLayer.moeFused : kernelsPerLayer.moe + quantised(plan.routedCompute))
    if (group.sharedWidth > 0) count += group.layers * (kernelsPerLayer.shared + quantised(plan.denseCompute))
  }
  return count
}

/** GPUs over which one token's cache of a layer is divided: heads split, a latent does not (nor a lone KV head). */
function kvSplit(group: MixerGroup, tp: number): number {
  return group.kind === 'gqa' ? Math.min(tp, group.kvHeads) : 1
}

/** Link that the GPUs of one stage talk over: the scale-up fabric while they fit in it, else the network. */
function linkRate(gpu: Hardware, gpus: number): number {
  if (gpus <= gpu.scaleUpGpus) return gpu.scaleUpGbS ?? 32
  return gpu.scaleOutGbS ?? 25
}

/** Facts by deployment: a table of ten thousand rows has few distinct ones. */
export class DeploymentFactsCache {
  readonly #known = new Map<string, DeploymentFacts>()

  of(deployment: Deployment): DeploymentFacts {
    const { shape, gpu, engine, precision, tp, pp, ep, dp } = deployment
    const key = [shape.name, gpu.id, engine.id, precision.format.id, precision.kvBytes, tp, pp, ep, dp].join('|')
    const known = this.#known.get(key)
    if (known?.deployment.shape === shape && known.deployment.gpu === gpu) return known
    const facts = factsOf(deployment)
    if (this.#known.size < 10_000) this.#known.set(key, facts)
    return facts
  }
}
