import { describe, expect, it } from 'vitest'
import { catalog, countWeights, resolveModel, shapeFromConfig, shapeOf } from '../index.ts'
import { cacheElementsPerToken, stateElements } from './weights.ts'

/** Total weights as their publishers state them, in billions. */
const published: Readonly<Record<string, number>> = {
  'llama-3.1-8b': 8.03,
  'llama-3.1-70b': 70.6,
  'llama-3.1-405b': 405.9,
  'llama-3.2-1b': 1.24,
  'llama-4-scout': 107.8,
  'llama-4-maverick': 400.7,
  'qwen2.5-7b': 7.62,
  'qwen2.5-72b': 72.7,
  'qwen3-8b': 8.19,
  'qwen3-14b': 14.8,
  'qwen3-32b': 32.8,
  'qwen3-30b-a3b': 30.5,
  'qwen3-235b-a22b': 235.1,
  'qwen3-coder-480b-a35b': 480.2,
  'qwen3.5-397b-a17b': 397,
  'deepseek-v3': 671,
  'kimi-k2': 1026,
  'glm-4.5-air': 106.9,
  'minimax-m2.5': 228.7,
  'mistral-7b': 7.25,
  'mistral-small-24b': 23.6,
  'mixtral-8x7b': 46.7,
  'mixtral-8x22b': 140.6,
  'gemma-3-27b': 27.0,
  'gpt-oss-120b': 116.8,
  'gpt-oss-20b': 20.9,
  'nemotron-nano-9b-v2': 8.89,
  'nemotron-nano-12b-v2': 12.31,
  'nemotron-3-nano-30b-a3b': 31.6,
}

describe('the catalog', () => {
  it('reads every entry as a shape whose layer groups add up', () => {
    expect(catalog.length).toBeGreaterThan(60)
    for (const entry of catalog) {
      const shape = shapeOf(entry)
      const mixers = shape.mixers.reduce((sum, group) => sum + group.layers, 0)
      const ffns = shape.ffns.reduce((sum, group) => sum + group.layers, 0)
      // Hybrids by letter have one part per layer, all others both parts in each.
      expect([shape.layers, mixers + ffns], entry.name).toContain(mixers === ffns ? mixers : mixers + ffns)
      expect(entry.source.length, entry.name).toBeGreaterThan(10)
    }
  })

  it.each(Object.entries(published))('counts the weights of %s as published, %d billion', (name, billions) => {
    expect(countWeights(resolveModel(name).shape).total / 1e9 / billions).toBeCloseTo(1, 2)
  })

  it.each([
    ['meta-llama/Llama-3.1-70B', 'llama-3.1-70b'],
    ['Llama-3.1-70B', 'llama-3.1-70b'],
    ['nvidia/DeepSeek-R1-0528-NVFP4-v2', 'deepseek-r1'],
    ['dsr1', 'deepseek-r1'],
    ['Qwen/Qwen3-235B-A22B-FP8', 'qwen3-235b-a22b'],
    ['Qwen/Qwen3-30B-A3B-Thinking-2507', 'qwen3-30b-a3b-2507'],
    ['minimaxm2.5', 'minimax-m2.5'],
    ['gptoss', 'gpt-oss-120b'],
    ['Mixtral-8x7B', 'mixtral-8x7b'],
  ])('finds %s as %s', (asked, name) => {
    expect(resolveModel(asked).shape.name).toBe(name)
  })

  it.each([
    ['RedHatAI/Meta-Llama-3.1-70B-Instruct-FP8-dynamic', 'llama-3.1-70b'],
    ['neuralmagic/Meta-Llama-3.1-8B-Instruct-quantized.w4a16', 'llama-3.1-8b'],
    ['hugging-quants/Meta-Llama-3.1-70B-Instruct-AWQ-INT4', 'llama-3.1-70b'],
    ['amd/DeepSeek-R1-0528-MXFP4-Preview', 'deepseek-r1'],
    ['Qwen/Qwen2.5-Coder-7B-Instruct-AWQ', 'qwen2.5-7b'],
    ['deepseek-ai/DeepSeek-R1-Distill-Llama-70B', 'llama-3.3-70b'],
    ['mistralai/Ministral-3-8B-Instruct-2512', 'ministral-3-8b'],
    ['llama2-70b-99.9', 'llama-2-70b'],
  ])('reads past what %s says of tuning and number format', (name, expected) => {
    expect(resolveModel(name).shape.name).toBe(expected)
  })

  it('names the nearest models for an unknown one', () => {
    expect(() => resolveModel('lama-3.1-70b')).toThrow(/'lama-3.1-70b' is not in the catalog. Nearest: llama-3.1-70b,/)
  })
})

describe('shapeFromConfig()', () => {
  it('keeps the latent of MLA in the cache: 576 elements a token and layer for DeepSeek', () => {
    const [group] = resolveModel('deepseek-v3').shape.mixers
    expect(group?.kind).toBe('mla')
    expect(group === undefined ? 0 : cacheElementsPerToken(group)).toBe(576)
  })

  it('gives linear attention a state and no cache, and every fourth layer of Qwen 3.5 full attention', () => {
    const { mixers } = resolveModel('qwen3.5-397b-a17b').shape
    expect(mixers.map((group) => [group.kind, group.layers])).toEqual([
      ['gqa', 15],
      ['linear', 45],
    ])
    const linear = mixers[1]
    if (linear === undefined) throw new Error('no linear group')
    expect(cacheElementsPerToken(linear)).toBe(0)
    // 64 value heads, each 128 × 128, and three positions of convolution over 2·16·128 + 64·128 channels.
    expect(stateElements(linear, 4096)).toBe(64 * 128 * 128 + 3 * (2 * 16 * 128 + 64 * 128))
  })

  it('reads the language part of a multimodal config, and lets null stand for absent', () => {
    const shape = shapeFromConfig('x', {
      model_type: 'qwen3_vl',
      vision_config: { hidden_size: 1 },
      text_config: {
        model_type: 'qwen3_vl_text',
        num_hidden_layers: 2,
        hidden_size: 64,
        num_attention_heads: 4,
        num_key_value_heads: 2,
        head_dim: 16,
        intermediate_size: 128,
        vocab_size: 100,
        sliding_window: null,
      },
    })
    expect(shape.mixers).toHaveLength(1)
    expect(countWeights(shape).total).toBe(2 * (64 * (64 + 2 * 32 + 64) + 3 * 64 * 128) + 2 * 6400)
  })

  it('knows experts by the names of other families, and refuses names that it does not know', () => {
    const base = {
      num_hidden_layers: 32,
      hidden_size: 4096,
      num_attention_heads: 32,
      intermediate_size: 11008,
      vocab_size: 32000,
    }
    const ernie = { ...base, moe_num_experts: 64, moe_k: 6, moe_intermediate_size: 1536, moe_layer_start_index: 1 }
    expect(shapeFromConfig('ernie', ernie).ffns).toMatchObject([
      { kind: 'dense', layers: 1 },
      { kind: 'moe', layers: 31, experts: 64, topExperts: 6 },
    ])
    const perLayer = { ...base, num_experts: 64, moe_topk: [8, 8], moe_intermediate_size: [3072, 3072] }
    expect(shapeFromConfig('hunyuan', perLayer).ffns).toMatchObject([{ topExperts: 8, width: 3072 }])
    expect(() => shapeFromConfig('odd', { ...base, router_experts: 48 })).toThrow(/'router_experts': 48, but names no/)
  })

  it('reads the language part wherever multimodal models keep it, with what Gemma leaves to its defaults', () => {
    const text = {
      num_hidden_layers: 34,
      hidden_size: 2560,
      intermediate_size: 10_240,
      model_type: 'gemma3_text',
      sliding_window: 1024,
    }
    const gemma = shapeFromConfig('gemma', { model_type: 'gemma3', text_config: text })
    expect(gemma.mixers).toMatchObject([
      { layers: 5, heads: 8, kvHeads: 4, keyDim: 256, window: undefined },
      { layers: 29, window: 1024 },
    ])
    for (const part of ['llm_config', 'language_config']) {
      expect(shapeFromConfig('gemma', { [part]: text })).toEqual(gemma)
    }
    expect(shapeFromConfig('gemma', { thinker_config: { text_config: text } })).toEqual(gemma)
  })

  it('names the field that is missing', () => {
    expect(() => shapeFromConfig('x', { num_hidden_layers: 2 })).toThrow(/Config of 'x': hidden_size/)
    expect(() =>
      shapeFromConfig('x', {
        num_hidden_layers: 2,
        hidden_size: 8,
        num_attention_heads: 1,
        vocab_size: 9,
        kv_lora_rank: 4,
        intermediate_size: 8,
      }),
    ).toThrow(/lacks 'qk_nope_head_dim'/)
  })
})
