import { describe, expect, it } from 'vitest'
import type { GgufFileHeader } from './gguf-reader.ts'
import { countWeights } from './shape.ts'
import { shapeFromGguf } from './shape-from-gguf.ts'

/** A header with these keys and nothing else of interest. */
function header(keys: Readonly<Record<string, string | number>>, tensors: readonly string[]): GgufFileHeader {
  return {
    metadata: new Map(Object.entries(keys)),
    tensors: tensors.map((name) => ({ name, shape: [1] })),
  } as unknown as GgufFileHeader
}

describe('shapeFromGguf()', () => {
  it('reads a dense model: Llama 3.1 8B has 8.03 billion weights', () => {
    const keys = {
      'general.architecture': 'llama',
      'llama.block_count': 32,
      'llama.embedding_length': 4096,
      'llama.attention.head_count': 32,
      'llama.attention.head_count_kv': 8,
      'llama.feed_forward_length': 14336,
      'llama.context_length': 131072,
      'llama.vocab_size': 128256,
    }
    const shape = shapeFromGguf('x', header(keys, ['output.weight']))
    expect(countWeights(shape).total / 1e9).toBeCloseTo(8.03, 2)
    expect(shapeFromGguf('x', header(keys, [])).tiedEmbeddings).toBe(true)
  })

  it('reads experts and the alternating windows of gpt-oss', () => {
    const shape = shapeFromGguf(
      'x',
      header(
        {
          'general.architecture': 'gpt-oss',
          'gpt-oss.block_count': 24,
          'gpt-oss.embedding_length': 2880,
          'gpt-oss.attention.head_count': 64,
          'gpt-oss.attention.head_count_kv': 8,
          'gpt-oss.attention.key_length': 64,
          'gpt-oss.attention.value_length': 64,
          'gpt-oss.attention.sliding_window': 128,
          'gpt-oss.feed_forward_length': 2880,
          'gpt-oss.expert_feed_forward_length': 2880,
          'gpt-oss.expert_count': 32,
          'gpt-oss.expert_used_count': 4,
          'gpt-oss.vocab_size': 201088,
        },
        ['output.weight'],
      ),
    )
    expect(shape.mixers.map((group) => [group.layers, group.kind === 'gqa' ? group.window : 0])).toEqual([
      [12, undefined],
      [12, 128],
    ])
    expect(countWeights(shape).total / 1e9).toBeCloseTo(20.9, 1)
  })

  it('says which architecture key is missing', () => {
    expect(() => shapeFromGguf('x', header({}, []))).toThrow("GGUF 'x' does not name its architecture.")
  })
})
