import type { MixerGroup, ModelShape } from './model-shape.ts'

/** Weights of one layer of a mixer group. */
export function mixerParameters(group: MixerGroup, hidden: number): number {
  switch (group.kind) {
    case 'gqa': {
      const query = group.heads * group.keyDim * (group.outputGate ? 2 : 1)
      const keyAndValue = group.kvHeads * (group.keyDim + (group.valueIsKey ? 0 : group.valueDim))
      // Layers without a cache of their own have no projections for it either.
      const own = group.layers === 0 ? 1 : group.cachedLayers / group.layers
      return hidden * (query + own * keyAndValue + group.heads * group.valueDim)
    }
    case 'mla': {
      const { heads, queryRank, kvRank, nopeDim, ropeDim, valueDim, indexer } = group
      const queryWidth = heads * (nopeDim + ropeDim)
      const query = queryRank === 0 ? hidden * queryWidth : queryRank * (hidden + queryWidth)
      const index =
        indexer === undefined
          ? 0
          : (queryRank || hidden) * indexer.heads * indexer.dim + hidden * (indexer.dim + indexer.heads)
      const gate = group.outputGate ? hidden * heads * valueDim : 0
      return (
        gate +
        query +
        hidden * (kvRank + ropeDim) +
        kvRank * heads * (nopeDim + valueDim) +
        heads * valueDim * hidden +
        index
      )
    }
    case 'compressed': {
      const { heads, headDim, queryRank, outputGroups, outputRank, ratio, indexer } = group
      const query = queryRank * (hidden + heads * headDim)
      const output = outputRank * (heads * headDim + outputGroups * hidden)
      // Pooling takes a key and a weight per token; where entries overlap (ratio 4) both are twice as wide.
      const pooled = (dim: number) => (ratio === 0 ? 0 : 2 * hidden * dim * (ratio <= 4 ? 2 : 1))
      const index =
        indexer === undefined
          ? 0
          : queryRank * indexer.heads * indexer.dim + hidden * indexer.heads + pooled(indexer.dim)
      return query + hidden * headDim + output + pooled(headDim) + index
    }
    case 'selective': {
      const { inner, stateDim, timeRank, convolution } = group
      return hidden * 3 * inner + inner * (2 * timeRank + 3 * stateDim + convolution)
    }
    case 'convolution':
      return hidden * (4 * hidden + group.taps)
    case 'linear': {
      const key = group.keyHeads * group.keyDim
      const value = group.valueHeads * group.valueDim
      const gate = group.gateRank === 0 ? hidden * value : group.gateRank * (hidden + value)
      const projections = hidden * (2 * key + 2 * value + group.headGates * group.valueHeads)
      return projections + gate + group.convolution * (2 * key + value)
    }
    case 'mamba': {
      const inner = group.heads * group.headDim
      const state = 2 * group.groups * group.stateDim
      return hidden * (3 * inner + state + group.heads) + group.convolution * (inner + state)
    }
  }
}

/** Cache elements that one token adds in one layer that keeps a cache; bounded windows are not in it. */
export function cacheElementsPerToken(group: MixerGroup): number {
  switch (group.kind) {
    case 'gqa':
      return group.kvHeads * (group.keyDim + group.valueDim)
    case 'mla':
      return group.kvRank + group.ropeDim + (group.indexer?.dim ?? 0)
    case 'compressed':
      return group.ratio === 0 ? 0 : (group.headDim + (group.indexer?.dim ?? 0)) / group.ratio
    default:
      return 0
  }
}

/** Layers of a group that keep a cache of their own. */
export function cachedLayers(group: MixerGroup): number {
  return group.kind === 'gqa' ? group.cachedLayers : group.layers
}

/** State elements that one sequence keeps in one layer, whatever its length. */
export function stateElements(group: MixerGroup, hidden: number): number {
  switch (group.kind) {
    case 'linear': {
      const channels = 2 * group.keyHeads * group.keyDim + group.valueHeads * group.valueDim
      return group.valueHeads * group.keyDim * group.valueDim + Math.max(0, group.convolution - 1) * channels
    }
    case 'mamba': {
      const inner = group.heads * group.headDim
      return inner * group.stateDim + (group.convolution - 1) * (inner + 2 * group.groups * group.stateDim)
    }
    case 'selective':
      return group.inner * (group.stateDim + group.convolution - 1)
    case 'convolution':
      return hidden * (group.taps - 1)
    default:
      return 0
  }
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
  /** Towers and other weights that a text step does not pass through. */
  readonly aside: number
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
  const total = mixers + dense + routed + router + embedding * (shape.tiedEmbeddings ? 1 : 2) + shape.asideWeights
  const active = mixers + dense + router + activeRouted + embedding
  return { mixers, dense, routed, router, embedding, aside: shape.asideWeights, total, active }
}
