import {
  cachedLayers,
  cacheElementsPerToken,
  countWeights,
  stateElements,
  type FfnGroup,
  type MixerGroup,
  type MoeGroup,
  type ModelShape,
} from '../../model/index.ts'
import { type Deployment, gpuCount } from './deployment.ts'
import { type Hardware, peakTflops } from './hardware.ts'
import { type PrecisionPlan, weightBytes } from './precision.ts'

/** Cache of some layers up to a number of tokens, on one GPU. */
export interface BoundedKv {
  readonly tokens: number
  readonly bytesPerToken: number
}

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
  readonly windowKv: readonly BoundedKv[]
  /** Cache that is kept whole and of which a step reads at most so much: an indexer picks it. Part of the bytes per token. */
  readonly selectedKv: readonly BoundedKv[]
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
    if (!visited(group)) return []
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
  const cached = shape.mixers.map((group) => {
    const perElement = (cachedLayers(group) * cacheElementBytes(group, precision)) / kvSplit(group, tp) / pp
    return { group, perElement, bytes: cacheElementsPerToken(group) * perElement }
  })
  return {
    deployment,
    gpus,
    kernels: kernelCount(shape, precision),
    moeLayers: shape.ffns.reduce((sum, group) => sum + (visited(group) ? group.layers : 0), 0),
    weightBytes: weightBytes(shape, precision, counts),
    weightBytesPerGpu:
      denseReadBytes + (embeddings + 2 * counts.aside) / tp / Math.min(pp, 2) + (2 * counts.router) / pp + routedBytes,
    kvBytesPerTokenPerGpu: cached.reduce(
      (sum, { group, bytes }) => sum + (windowOf(group) === undefined ? bytes : 0),
      0,
    ),
    windowKv: cached
      .flatMap(({ group, bytes, perElement }) => {
        if (group.kind === 'compressed') return [{ tokens: group.window, bytesPerToken: group.headDim * perElement }]
        return [{ tokens: windowOf(group) ?? 0, bytesPerToken: bytes }]
      })
      .filter(({ tokens, bytesPerToken }) => tokens > 0 && bytesPerToken > 0),
    selectedKv: cached.flatMap(({ group, perElement }) => selected(group, perElement)),
    stateBytesPerGpu: shape.mixers.reduce(
      (sum, group) => sum + (4 * group.layers * stateElements(group, shape.hidden)) / tp / pp,
      0,
    ),
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
const kernelsPerLayer = {
  gqa: 6,
  mla: 12,
  compressed: 16,
  linear: 10,
  mamba: 7,
  selective: 8,
  convolution: 4,
  dense: 4,
  moe: 8,
  moeFused: 5,
  shared: 3,
} as const

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
    if (!visited(group)) continue
    // FP4 experts run in kernels that route, multiply and activate in one go.
    const fused = plan.routedBits < 8 && !plan.weightOnly
    count += group.layers * (fused ? kernelsPerLayer.moeFused : kernelsPerLayer.moe + quantised(plan.routedCompute))
    if (group.sharedWidth > 0) count += group.layers * (kernelsPerLayer.shared + quantised(plan.denseCompute))
  }
  return count
}

/** Experts that text tokens visit. */
function visited(group: FfnGroup): group is MoeGroup {
  return group.kind === 'moe' && group.topExperts > 0
}

function windowOf(group: MixerGroup): number | undefined {
  return group.kind === 'gqa' ? group.window : undefined
}

/**
 * Bytes of one cache element. Compressed caches count two whatever the format: vLLM 0.26 with an FP8 cache holds
 * 1,009,661 tokens of DeepSeek-V4-Flash in 7.01 GiB (vllm-project/vllm#51041), 7.46 kB a token, since pages of unlike
 * layers are padded to common sizes; two bytes an element come to 6.88 kB, one to 3.44.
 */
function cacheElementBytes(group: MixerGroup, precision: PrecisionPlan): number {
  return group.kind === 'compressed' ? 2 : precision.kvBytes
}

/** What an indexer picks of a group's cache, in tokens. */
function selected(group: MixerGroup, perElement: number): readonly BoundedKv[] {
  if (group.kind === 'mla' && group.indexer !== undefined) {
    return [{ tokens: group.indexer.topTokens, bytesPerToken: (group.kvRank + group.ropeDim) * perElement }]
  }
  if (group.kind === 'compressed' && group.indexer !== undefined) {
    const tokens = group.indexer.topEntries * group.ratio
    return [{ tokens, bytesPerToken: (group.headDim * perElement) / group.ratio }]
  }
  return []
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
