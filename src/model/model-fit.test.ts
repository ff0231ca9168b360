import { describe, expect, it } from 'vitest'
import type { GgufMetadata } from './gguf-metadata.ts'
import { fitModel, precisionOf } from './model-fit.ts'

/** Llama 3.1 8B: 32 layers, 8 KV heads of 128. */
const llama: GgufMetadata = {
  header: {
    path: 'x.gguf',
    fileBytes: 0,
    version: 3,
    metadata: new Map(),
    dataOffset: 0,
    tensors: [
      { name: 'a', shape: [10, 9], type: 12, offset: 0 },
      { name: 'b', shape: [10], type: 0, offset: 0 },
    ],
  },
  architecture: 'llama',
  name: undefined,
  contextTokens: 131_072,
  vocabularyTokens: 128_256,
  shape: {
    layers: 32,
    embeddingLength: 4096,
    feedForwardLength: 14_336,
    heads: 32,
    kvHeads: 8,
    keyLength: 128,
    valueLength: 128,
    experts: undefined,
    expertsUsed: undefined,
    slidingWindow: undefined,
  },
  purpose: 'generate',
  parameters: 100,
  shard: { index: 1, count: 1 },
  chat: { chatTemplate: undefined, bosToken: undefined, eosToken: undefined },
}
const gib = 1024 ** 3

describe('fitModel', () => {
  it('counts 128 KiB of KV cache a token for Llama 3.1 8B in f16, and less in shorter formats', () => {
    const [f16, q8, q4] = fitModel(llama, 5 * gib, 8192, 1, 64 * gib)
    expect(f16?.kvBytes).toBe(8192 * 128 * 1024)
    expect(q8?.kvBytes).toBe((8192 * 128 * 1024 * 17) / 32)
    expect(q4?.kvBytes).toBe((8192 * 128 * 1024 * 9) / 32)
    expect(f16?.totalBytes).toBeGreaterThan(6 * gib)
  })

  it('groups by what the machine has, and says which context would fit', () => {
    const groups = (available: number) => fitModel(llama, 5 * gib, 8192, 4, available * gib).map(({ group }) => group)
    expect(groups(64)).toEqual(['runnable', 'runnable', 'runnable'])
    expect(groups(7)).toEqual(['low memory', 'low memory', 'runnable'])
    expect(groups(4)).toEqual(['does not fit', 'does not fit', 'does not fit'])
    const [f16] = fitModel(llama, 5 * gib, 8192, 4, 7 * gib)
    expect(f16?.fittingContextTokens).toBeGreaterThan(256)
    const again = fitModel(llama, 5 * gib, f16?.fittingContextTokens ?? 0, 4, 7 * gib)
    expect(again[0]?.totalBytes).toBeLessThanOrEqual(7 * gib)
  })
})

describe('precisionOf', () => {
  it('gives each tensor type its share of the weights', () => {
    expect(precisionOf(llama)).toEqual([
      { type: 'Q4_K', share: 0.9 },
      { type: 'F32', share: 0.1 },
    ])
  })
})
