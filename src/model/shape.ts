/**
 * What a transformer is made of, as far as memory and time depend on it: groups of like layers. All counts are
 * exact elements, not rounded marketing sizes.
 */
export interface ModelShape {
  /** Catalog name, or what the file calls itself. */
  readonly name: string
  readonly hidden: number
  readonly layers: number
  readonly vocabulary: number
  /** Input and output embeddings are one matrix. */
  readonly tiedEmbeddings: boolean
  /** Most tokens in one sequence; undefined where the source does not say. */
  readonly contextTokens: number | undefined
  /** Token mixing, in groups of equal layers. Layers without any (pure FFN layers of hybrids) are in no group. */
  readonly mixers: readonly MixerGroup[]
  /** Feed-forward parts, in groups of equal layers. */
  readonly ffns: readonly FfnGroup[]
  /** Which weights a published FP4 checkpoint stores in FP4; the others stay in BF16. */
  readonly fp4Scope: Fp4Scope
  /** Bits per weight of routed experts where the model is only published so (gpt-oss: MXFP4, 4.25). */
  readonly expertBits: number | undefined
}

/** `all`: every linear layer. `ffn`: all but attention. `experts`: routed experts alone. */
export type Fp4Scope = 'all' | 'ffn' | 'experts'

export type MixerGroup = GqaGroup | MlaGroup | LinearGroup | MambaGroup

/** Grouped-query attention; multi-head where kvHeads = heads. */
export interface GqaGroup {
  readonly kind: 'gqa'
  readonly layers: number
  readonly heads: number
  readonly kvHeads: number
  readonly keyDim: number
  readonly valueDim: number
  /** Tokens that a query looks back; undefined: all. */
  readonly window: number | undefined
  /** A gate as wide as the query is computed beside it (Qwen 3.5). */
  readonly outputGate: boolean
  /** Queries and keys are normalised, head by head or whole: two small kernels more. */
  readonly queryKeyNorm: boolean
}

/** Multi-head latent attention (DeepSeek-V2, arXiv 2405.04434): the cache holds kvRank + ropeDim per token. */
export interface MlaGroup {
  readonly kind: 'mla'
  readonly layers: number
  readonly heads: number
  /** 0: queries are not compressed. */
  readonly queryRank: number
  readonly kvRank: number
  readonly nopeDim: number
  readonly ropeDim: number
  readonly valueDim: number
  /** DeepSeek sparse attention: an indexer picks `topTokens` of the context. */
  readonly indexer: { readonly topTokens: number; readonly heads: number; readonly dim: number } | undefined
}

/** Linear attention with a delta rule (Gated DeltaNet, arXiv 2412.06464): a fixed state, no cache per token. */
export interface LinearGroup {
  readonly kind: 'linear'
  readonly layers: number
  readonly keyHeads: number
  readonly valueHeads: number
  readonly keyDim: number
  readonly valueDim: number
  readonly convolution: number
}

/** Mamba-2 (arXiv 2405.21060): a fixed state, no cache per token. */
export interface MambaGroup {
  readonly kind: 'mamba'
  readonly layers: number
  readonly heads: number
  readonly headDim: number
  readonly groups: number
  readonly stateDim: number
  readonly convolution: number
}

export type FfnGroup = DenseGroup | MoeGroup

export interface DenseGroup {
  readonly kind: 'dense'
  readonly layers: number
  readonly width: number
  /** Matrices per layer: 3 with a gate (SwiGLU), 2 without. */
  readonly matrices: number
}

export interface MoeGroup {
  readonly kind: 'moe'
  readonly layers: number
  readonly experts: number
  /** Routed experts that each token visits. */
  readonly topExperts: number
  /** Width of one routed expert. */
  readonly width: number
  /** Width of the experts that every token visits, together. */
  readonly sharedWidth: number
  readonly matrices: number
  /** Elements of the vector that routed experts take; `hidden` unless the model projects it down first. */
  readonly expertHidden: number
}

/** Weights of one layer of a mixer group. */
export function mixerParameters(group: MixerGroup, hidden: number): number {
  switch (group.kind) {
    case 'gqa': {
      const query = group.heads * group.keyDim * (group.outputGate ? 2 : 1)
      return hidden * (query + group.kvHeads * (group.keyDim + group.valueDim) + group.heads * group.valueDim)
    }
    case 'mla': {
      const { heads, queryRank, kvRank, nopeDim, ropeDim, valueDim, indexer } = group
      const queryWidth = heads * (nopeDim + ropeDim)
      const query = queryRank === 0 ? hidden * queryWidth : queryRank * (hidden + queryWidth)
      const index =
        indexer === undefined
          ? 0
          : (queryRank || hidden) * indexer.heads * indexer.dim + hidden * (indexer.dim + indexer.heads)
      return (
        query + hidden * (kvRank + ropeDim) + kvRank * heads * (nopeDim + valueDim) + heads * valueDim * hidden + index
      )
    }
    case 'linear': {
      const key = group.keyHeads * group.keyDim
      const value = group.valueHeads * group.valueDim
      return hidden * (2 * key + 3 * value + 2 * group.valueHeads) + group.convolution * (2 * key + value)
    }
    case 'mamba': {
      const inner = group.heads * group.headDim
      const state = 2 * group.groups * group.stateDim
      return hidden * (3 * inner + state + group.heads) + group.convolution * (inner + state)
    }
  }
}

/** Cache elements that one token adds in one layer. */
export function cacheElementsPerToken(group: MixerGroup): number {
  if (group.kind === 'gqa') return group.kvHeads * (group.keyDim + group.valueDim)
  if (group.kind === 'mla') return group.kvRank + group.ropeDim + (group.indexer?.dim ?? 0)
  return 0
}

/** State elements that one sequence keeps in one layer, whatever its length. */
export function stateElements(group: MixerGroup): number {
  if (group.kind === 'linear') {
    return (
      group.valueHeads * group.keyDim * group.valueDim +
      (group.convolution - 1) * (2 * group.keyHeads * group.keyDim + group.valueHeads * group.valueDim)
    )
  }
  if (group.kind === 'mamba') {
    const inner = group.heads * group.headDim
    return inner * group.stateDim + (group.convolution - 1) * (inner + 2 * group.groups * group.stateDim)
  }
  return 0
}

/** Weights of the model by the role that decides how they are stored, split and read. */
export interface WeightCounts {
  readonly mixers: number
  /** Dense layers and shared experts: read in full by every step. */
  readonly dense: number
  /** Routed experts: read as far as the batch touches them. */
  readonly routed: number
  readonly router: number
  /** One embedding matrix: vocabulary × hidden. */
  readonly embedding: number
  readonly total: number
  /** Weights that one token passes through, both embeddings counted once as a head. */
  readonly active: number
}

/** Counts weights from the shape. Norms and biases (under 0.1 %) are left out. */
export function countWeights(shape: ModelShape): WeightCounts {
  const mixers = shape.mixers.reduce((sum, group) => sum + group.layers * mixerParameters(group, shape.hidden), 0)
  let dense = 0
  let routed = 0
  let router = 0
  let activeRouted = 0
  for (const group of shape.ffns) {
    if (group.kind === 'dense') {
      dense += group.layers * group.matrices * shape.hidden * group.width
      continue
    }
    const expert = group.matrices * group.expertHidden * group.width
    dense += group.layers * group.matrices * shape.hidden * group.sharedWidth
    if (group.expertHidden !== shape.hidden) dense += group.layers * 2 * shape.hidden * group.expertHidden
    routed += group.layers * expert * group.experts
    activeRouted += group.layers * expert * group.topExperts
    router += group.layers * shape.hidden * group.experts
  }
  const embedding = shape.vocabulary * shape.hidden
  const total = mixers + dense + routed + router + embedding * (shape.tiedEmbeddings ? 1 : 2)
  return { mixers, dense, routed, router, embedding, total, active: mixers + dense + router + activeRouted + embedding }
}
