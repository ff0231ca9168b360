import type { GgufMetadata } from './gguf-metadata.ts'

/** Number formats of the KV cache, with bytes a value (blocks of 32 with a scale of two bytes). */
export const kvFormats = [
  { name: 'f16', bytesPerValue: 2 },
  { name: 'q8_0', bytesPerValue: 34 / 32 },
  { name: 'q4_0', bytesPerValue: 18 / 32 },
] as const

/** One way to serve a model on this machine, and the memory it takes. */
export interface MemoryProfile {
  readonly kvType: (typeof kvFormats)[number]['name']
  /** Tokens that each slot has room for. */
  readonly contextTokens: number
  readonly slots: number
  readonly weightBytes: number
  readonly kvBytes: number
  /** Logits and intermediate results of a batch: an estimate, 512 tokens wide. */
  readonly computeBytes: number
  readonly totalBytes: number
  readonly group: 'runnable' | 'low memory' | 'does not fit'
  /** Tokens a slot at which it would fit; undefined where it does, or where no context would. */
  readonly fittingContextTokens: number | undefined
}

/**
 * The memory of a model at a context and number of slots, for each format of the KV cache:
 *
 *   weights (the file) + layers × KV heads × (key + value length) × bytes × tokens × slots + batch
 *
 * `runnable` leaves a tenth of the available bytes free; `low memory` fits without that, or with a smaller context.
 */
export function fitModel(
  model: GgufMetadata,
  weightBytes: number,
  contextTokens: number,
  slots: number,
  availableBytes: number,
): readonly MemoryProfile[] {
  const { shape } = model
  const valuesPerToken =
    (shape.layers ?? 0) * (shape.kvHeads ?? 0) * ((shape.keyLength ?? 0) + (shape.valueLength ?? 0))
  const computeBytes =
    512 * 4 * ((shape.embeddingLength ?? 0) * 4 + (shape.feedForwardLength ?? 0)) +
    slots * 4 * (model.vocabularyTokens ?? 0)
  return kvFormats.map(({ name, bytesPerValue }) => {
    const bytesPerToken = valuesPerToken * bytesPerValue * slots
    const kvBytes = Math.ceil(bytesPerToken * contextTokens)
    const totalBytes = weightBytes + kvBytes + computeBytes
    const room = availableBytes - weightBytes - computeBytes
    const fitting = bytesPerToken > 0 ? Math.floor(room / bytesPerToken / 256) * 256 : 0
    const fits = totalBytes <= availableBytes
    return {
      kvType: name,
      contextTokens,
      slots,
      weightBytes,
      kvBytes,
      computeBytes,
      totalBytes,
      group: totalBytes <= availableBytes * 0.9 ? 'runnable' : fits || fitting >= 256 ? 'low memory' : 'does not fit',
      fittingContextTokens: fits || fitting < 256 ? undefined : fitting,
    }
  })
}

/** Names of ggml's tensor types by number (ggml/include/ggml.h). */
const tensorTypes: Readonly<Record<number, string>> = {
  0: 'F32',
  1: 'F16',
  2: 'Q4_0',
  3: 'Q4_1',
  6: 'Q5_0',
  7: 'Q5_1',
  8: 'Q8_0',
  10: 'Q2_K',
  11: 'Q3_K',
  12: 'Q4_K',
  13: 'Q5_K',
  14: 'Q6_K',
  16: 'IQ2_XXS',
  17: 'IQ2_XS',
  18: 'IQ3_XXS',
  19: 'IQ1_S',
  20: 'IQ4_NL',
  21: 'IQ3_S',
  22: 'IQ2_S',
  23: 'IQ4_XS',
  29: 'IQ1_M',
  30: 'BF16',
  34: 'TQ1_0',
  35: 'TQ2_0',
  39: 'MXFP4',
  40: 'NVFP4',
}

/** How the weights are stored: each tensor type with its share of all weights, largest first. */
export function precisionOf(model: GgufMetadata): readonly { readonly type: string; readonly share: number }[] {
  const weights = new Map<string, number>()
  for (const { type, shape } of model.header.tensors) {
    const name = tensorTypes[type] ?? `type ${type}`
    weights.set(name, (weights.get(name) ?? 0) + shape.reduce((product, length) => product * length, 1))
  }
  return [...weights]
    .map(([type, count]) => ({ type, share: count / Math.max(1, model.parameters) }))
    .toSorted((a, b) => b.share - a.share)
}
