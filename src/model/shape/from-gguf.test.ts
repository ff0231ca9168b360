import { describe, expect, it } from 'vitest'
import type { GgufFileHeader } from '../gguf-reader.ts'
import { countWeights } from './weights.ts'
import { shapeFromGguf } from './from-gguf.ts'

/** A header with these keys and nothing else of interest. */
function header(
  keys: Readonly<Record<string, string | number | readonly (number | boolean)[]>>,
  tensors: readonly string[],
  weights = 1,
): GgufFileHeader {
  return {
    metadata: new Map(Object.entries(keys)),
    tensors: tensors.map((name) => ({ name, shape: [weights / tensors.length] })),
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

  const hybrid = {
    'general.architecture': 'granitehybrid',
    'granitehybrid.block_count': 4,
    'granitehybrid.embedding_length': 64,
    'granitehybrid.attention.head_count': 4,
    'granitehybrid.attention.head_count_kv': [0, 2, 0, 0],
    'granitehybrid.feed_forward_length': 128,
    'granitehybrid.ssm.inner_size': 128,
    'granitehybrid.ssm.time_step_rank': 4,
    'granitehybrid.ssm.state_size': 16,
    'granitehybrid.ssm.group_count': 1,
    'granitehybrid.vocab_size': 1000,
  }

  it('reads layers without KV heads as what the other keys say of them, and refuses where they say nothing', () => {
    expect(shapeFromGguf('x', header(hybrid, [])).mixers).toMatchObject([
      { kind: 'gqa', layers: 1, kvHeads: 2 },
      { kind: 'mamba', layers: 3, heads: 4, headDim: 32, stateDim: 16 },
    ])
    const unknown = Object.fromEntries(Object.entries(hybrid).filter(([key]) => !key.includes('.ssm.')))
    expect(() => shapeFromGguf('x', header(unknown, []))).toThrow(/'granitehybrid' has layers without KV heads/)
  })

  it('reads KV heads of windowed and global layers apart', () => {
    const keys = {
      'general.architecture': 'gemma4',
      'gemma4.block_count': 3,
      'gemma4.embedding_length': 64,
      'gemma4.attention.head_count': 8,
      'gemma4.attention.head_count_kv': [4, 4, 2],
      'gemma4.attention.key_length': 32,
      'gemma4.attention.key_length_swa': 16,
      'gemma4.attention.sliding_window': 128,
      'gemma4.attention.sliding_window_pattern': [true, true, false],
      'gemma4.feed_forward_length': 128,
      'gemma4.vocab_size': 1000,
    }
    expect(shapeFromGguf('x', header(keys, [])).mixers).toMatchObject([
      { layers: 1, kvHeads: 2, keyDim: 32, window: undefined },
      { layers: 2, kvHeads: 4, keyDim: 16, window: 128 },
    ])
  })

  it('says so where the tensors of a whole file hold another number of weights than its keys describe', () => {
    const [told] = shapeFromGguf('x', header(hybrid, ['output.weight'], 2e6)).unread
    expect(told).toMatch(/^tensors hold 0\.00 billion weights where the keys describe/)
    expect(shapeFromGguf('x', header({ ...hybrid, 'split.count': 2 }, ['output.weight'], 2e6)).unread).toEqual([])
  })

  it('says which architecture key is missing', () => {
    expect(() => shapeFromGguf('x', header({}, []))).toThrow("GGUF 'x' does not name its architecture.")
  })
})
