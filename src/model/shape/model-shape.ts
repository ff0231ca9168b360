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
  /** Beside such experts the other linear layers are narrow too (DeepSeek-V4: FP8); else they stay in BF16. */
  readonly narrowBesideExperts: boolean
  /** Number format of the published file, after its `quantization_config`; undefined: 16 bits. */
  readonly publishedFormat: string | undefined
  /** Weights that a text step does not pass through, in BF16: vision and audio towers, embeddings looked up per layer. */
  readonly asideWeights: number
  /** Fields of the config that describe shape and were not understood, with what that means. */
  readonly unread: readonly string[]
}

/** `all`: every linear layer. `ffn`: all but attention. `experts`: routed experts alone. */
export type Fp4Scope = 'all' | 'ffn' | 'experts'

export type MixerGroup =
  | GqaGroup
  | MlaGroup
  | CompressedGroup
  | LinearGroup
  | MambaGroup
  | SelectiveGroup
  | ShortConvolutionGroup

/** Grouped-query attention; multi-head where kvHeads = heads. */
export interface GqaGroup {
  readonly kind: 'gqa'
  readonly layers: number
  readonly heads: number
  readonly kvHeads: number
  readonly keyDim: number
  readonly valueDim: number
  /** Layers that keep keys and values of their own; the others read a neighbour's (cross-layer attention). */
  readonly cachedLayers: number
  /** Values are the keys before rotation: no projection of their own, though both are cached (Gemma 4). */
  readonly valueIsKey: boolean
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
  /** A gate as wide as the values is computed beside them (Kimi K3). */
  readonly outputGate: boolean
  /** DeepSeek sparse attention: an indexer picks `topTokens` of the context. */
  readonly indexer: { readonly topTokens: number; readonly heads: number; readonly dim: number } | undefined
}

/**
 * Compressed attention of DeepSeek-V4: one shared key and value head; every `ratio` tokens are pooled into one cache
 * entry, of which an indexer picks `topEntries`; the last `window` tokens are kept as they are.
 */
export interface CompressedGroup {
  readonly kind: 'compressed'
  readonly layers: number
  readonly heads: number
  readonly headDim: number
  readonly queryRank: number
  readonly outputGroups: number
  readonly outputRank: number
  /** Tokens per cache entry; 0: the window alone. */
  readonly ratio: number
  readonly window: number
  readonly indexer: { readonly topEntries: number; readonly heads: number; readonly dim: number } | undefined
}

/**
 * Linear attention: a fixed state, no cache per token. With a delta rule (Gated DeltaNet, arXiv 2412.06464; Kimi
 * Delta Attention, arXiv 2510.26692) or plain (Lightning Attention, arXiv 2401.04658).
 */
export interface LinearGroup {
  readonly kind: 'linear'
  readonly layers: number
  readonly keyHeads: number
  readonly valueHeads: number
  readonly keyDim: number
  readonly valueDim: number
  /** Taps of the short convolution; 0: none. */
  readonly convolution: number
  /** Numbers per head that gate the state: 2 for a delta rule, 0 for plain linear attention. */
  readonly headGates: number
  /** Inner width of the output gate's two factors; 0: one full matrix. */
  readonly gateRank: number
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

/** Mamba-1 (arXiv 2312.00752): a fixed state, no cache per token. */
export interface SelectiveGroup {
  readonly kind: 'selective'
  readonly layers: number
  readonly inner: number
  readonly stateDim: number
  readonly timeRank: number
  readonly convolution: number
}

/** Gated short convolution (LFM2): the last few tokens are its state. */
export interface ShortConvolutionGroup {
  readonly kind: 'convolution'
  readonly layers: number
  readonly taps: number
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
  /** Routed experts that each token visits; 0: experts of another modality, stored and not visited by text. */
  readonly topExperts: number
  /** Width of one routed expert. */
  readonly width: number
  /** Width of the experts that every token visits, together. */
  readonly sharedWidth: number
  readonly matrices: number
  /** Elements of the vector that routed experts take; `hidden` unless the model projects it down first. */
  readonly expertHidden: number
}
