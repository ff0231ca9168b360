import { stateElements, type ModelShape } from '../../model/index.ts'
import type { DeploymentFacts } from './deployment-facts.ts'
import { peakTflops } from './hardware.ts'

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
  for (const picked of facts.selectedKv) cacheBytes -= Math.max(0, context - picked.tokens) * picked.bytesPerToken
  return {
    denseReadMs: (facts.denseReadBytes + facts.headReadBytes) / bandwidth,
    routedReadMs: routedBytes / bandwidth,
    cacheReadMs: (perGroup * pp * (cacheBytes + 2 * facts.stateBytesPerGpu)) / bandwidth,
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
    } else if (group.kind === 'compressed') {
      const entries = group.ratio === 0 ? 0 : context / group.ratio
      const seen = Math.min(context, group.window) + Math.min(entries, group.indexer?.topEntries ?? Infinity)
      flops += 4 * group.layers * seen * group.heads * group.headDim
      if (group.indexer !== undefined) flops += 2 * group.layers * entries * group.indexer.heads * group.indexer.dim
    } else flops += 4 * group.layers * stateElements(group, shape.hidden)
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
