import { cacheElementsPerToken, countWeights, stateElements, type MixerGroup, type ModelShape } from '../model/index.ts'
import { peakTflops, type Hardware } from './hardware.ts'
import { weightBytes, type PrecisionPlan } from './precision.ts'

/** One replica: a model in a precision, spread over tp·pp·dp GPUs. */
export interface Deployment {
  readonly shape: ModelShape
  readonly gpu: Hardware
  readonly engine: string
  readonly precision: PrecisionPlan
  /** Tensor parallel GPUs of one attention group. */
  readonly tp: number
  /** Pipeline stages. */
  readonly pp: number
  /** GPUs over which whole experts are spread; 1: every expert is sliced over all. */
  readonly ep: number
  /** Attention groups that hold different requests (data-parallel attention). */
  readonly dp: number
}

export function gpuCount(deployment: Pick<Deployment, 'tp' | 'pp' | 'dp'>): number {
  return deployment.tp * deployment.pp * deployment.dp
}

/**
 * The work of one decode step or one prefill, as milliseconds at the hardware's peak: what a perfect engine would
 * need for each part if it did nothing else. The calibration multiplies them; here is physics alone.
 */
export interface StepWork {
  /** Reading mixer, dense, shared and head weights, ms. */
  readonly denseReadMs: number
  /** Reading the routed experts that the batch touches, ms. */
  readonly routedReadMs: number
  /** Reading the KV cache and linear-attention state, ms. */
  readonly cacheReadMs: number
  /** Linear layers without routed experts, ms at the peak of their format. */
  readonly denseComputeMs: number
  readonly routedComputeMs: number
  /** Scores and values of attention, ms at the BF16 peak. */
  readonly attentionComputeMs: number
  /** Bytes of collectives over the link, ms. */
  readonly transferMs: number
  /** Collectives of one step. */
  readonly collectives: number
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

/**
 * Expected distinct experts that `tokens` tokens touch, each visiting `topExperts` of them independently and
 * uniformly: E·(1 − (1 − k/E)^tokens). Routers of trained models are skewed; allowing for that did not lower the
 * error on models left out of the fit.
 */
export function expertsTouched(experts: number, topExperts: number, tokens: number): number {
  return experts * (1 - (1 - topExperts / experts) ** tokens)
}

/** One decode step of `batch` sequences over the whole replica, each with `context` tokens behind it. */
export function decodeWork(facts: DeploymentFacts, batch: number, context: number): StepWork {
  const { deployment, gpus } = facts
  const { gpu, shape, tp, pp, dp } = deployment
  const bandwidth = gpu.bandwidthTbS * 1e9 // bytes per ms
  // Pipeline stages hold a micro-batch each; a step is one micro-batch passing all stages.
  const micro = batch / pp
  const perGroup = micro / dp
  let routedBytes = 0
  let routedComputeMs = 0
  for (const group of facts.routed) {
    routedBytes += (group.layers * group.bytes * expertsTouched(group.experts, group.topExperts, micro) * pp) / gpus
    routedComputeMs += micro * pp * group.flopsMsPerToken
  }
  let cacheBytes = context * facts.kvBytesPerTokenPerGpu
  for (const window of facts.windowKv) cacheBytes += Math.min(context, window.tokens) * window.bytesPerToken
  return {
    denseReadMs: (facts.denseReadBytes + facts.headReadBytes) / bandwidth,
    routedReadMs: routedBytes / bandwidth,
    cacheReadMs: (perGroup * pp * (readShare(shape, context) * cacheBytes + 2 * facts.stateBytesPerGpu)) / bandwidth,
    denseComputeMs: perGroup * facts.denseFlopsMs,
    routedComputeMs,
    attentionComputeMs: (perGroup * attentionFlops(shape, context, true)) / tp / (peakTflops(gpu, 'bf16').tflops * 1e9),
    transferMs: transferMs(facts, perGroup),
    collectives: collectiveCount(facts),
  }
}

/** Prefill of one prompt of `tokens` tokens, `cached` of them already in the cache. */
export function prefillWork(facts: DeploymentFacts, tokens: number, cached = 0): StepWork {
  const { deployment, gpus } = facts
  const { gpu, shape, tp, pp, dp } = deployment
  const fresh = Math.max(1, tokens - cached)
  const bandwidth = gpu.bandwidthTbS * 1e9
  let routedBytes = 0
  let routedComputeMs = 0
  for (const group of facts.routed) {
    routedBytes += (group.layers * group.bytes * expertsTouched(group.experts, group.topExperts, fresh)) / gpus
    routedComputeMs += fresh * group.flopsMsPerToken
  }
  // Causal: a fresh token sees on average the cached part and half of the fresh part.
  const behind = cached + fresh / 2
  const attention = (fresh * attentionFlops(shape, behind, false)) / tp / dp / pp
  return {
    denseReadMs: (facts.denseReadBytes / pp + facts.headReadBytes) / bandwidth,
    routedReadMs: routedBytes / bandwidth,
    cacheReadMs: (cached * facts.kvBytesPerTokenPerGpu) / bandwidth,
    // The other attention groups work on their own prompts meanwhile: a prompt costs the replica 1/dp of its time.
    denseComputeMs: (fresh * facts.denseFlopsMs) / dp / pp,
    routedComputeMs,
    attentionComputeMs: attention / (peakTflops(gpu, 'bf16').tflops * 1e9),
    transferMs: transferMs(facts, fresh) / dp,
    collectives: collectiveCount(facts),
  }
}

/** Share of the cache that a sparse-attention indexer lets a step read; 1 without one. */
function readShare(shape: ModelShape, context: number): number {
  for (const group of shape.mixers) {
    if (group.kind !== 'mla' || group.indexer === undefined) continue
    const latent = group.kvRank + group.ropeDim
    const all = context * (latent + group.indexer.dim)
    return Math.min(1, (Math.min(context, group.indexer.topTokens) * latent + context * group.indexer.dim) / all)
  }
  return 1
}

/**
 * Flops of attention for one query token over `context` tokens, all layers: 2 per multiply-add. Absorbed latent
 * attention after DeepSeek-V2 (arXiv 2405.04434), the indexer after DeepSeek-V3.2, windows as the model's config states.
 */
function attentionFlops(shape: ModelShape, context: number, decoding: boolean): number {
  let flops = 0
  for (const group of shape.mixers) {
    if (group.kind === 'gqa') {
      const seen = group.window === undefined ? context : Math.min(context, group.window)
      flops += 2 * group.layers * seen * group.heads * (group.keyDim + group.valueDim)
    } else if (group.kind === 'mla') {
      const seen = group.indexer === undefined ? context : Math.min(context, group.indexer.topTokens)
      // Decoding works in the latent space (absorbed); prefill expands keys and values.
      const width = decoding ? 2 * group.kvRank + group.ropeDim : group.nopeDim + group.ropeDim + group.valueDim
      flops += 2 * group.layers * seen * group.heads * width
      if (group.indexer !== undefined) flops += 2 * group.layers * context * group.indexer.heads * group.indexer.dim
    } else flops += 4 * group.layers * stateElements(group)
  }
  return flops
}

/**
 * Collective bytes of `tokens` tokens over the link, ms. Tensor parallel (Megatron-LM, arXiv 1909.08053): two
 * all-reduces per layer, each moving 2·(t−1)/t of the BF16 activations per GPU. Attention groups (dp) gather each other's tokens before a layer's
 * experts and scatter the results after them, (d−1) times their own each; both count twice, as groups pad to the
 * fullest one and library collectives reach half the rate of the engines' own all-reduce. Pipeline: one hand-over
 * per stage.
 */
function transferMs(facts: DeploymentFacts, tokens: number): number {
  const { shape, tp, pp, dp } = facts.deployment
  const activation = tokens * shape.hidden * 2
  const bytes = activation * (((2 * 2 * (tp - 1)) / tp) * shape.layers + 4 * (dp - 1) * facts.moeLayers + (pp - 1))
  return bytes / (facts.linkGbS * 1e6)
}

/** Collectives of one step: two per layer where a layer spans GPUs. */
function collectiveCount(facts: DeploymentFacts): number {
  const { shape, tp, dp } = facts.deployment
  return tp * dp > 1 ? 2 * shape.layers : 0
}
