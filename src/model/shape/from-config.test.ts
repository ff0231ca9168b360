import { describe, expect, it } from 'vitest'
import { parseConfigText, shapeFromConfig } from './from-config.ts'
import { countWeights } from './weights.ts'

const dense = {
  model_type: 'llama',
  num_hidden_layers: 8,
  hidden_size: 64,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  intermediate_size: 128,
  vocab_size: 1000,
}

/** The format that a quantization_config leads to. */
function formatOf(quantization: Readonly<Record<string, unknown>>): string | undefined {
  return shapeFromConfig('x', { ...dense, quantization_config: quantization }).publishedFormat
}

describe('a field that describes shape and is not understood', () => {
  it.each([
    ['layer_types', Array.from({ length: 8 }, () => 'wavelet'), /'layer_types': "wavelet"/],
    ['layers_block_type', ['mamba', 'hybrid'], /'layers_block_type': "hybrid"/],
    ['attn_type_list', [0, 1, 2, 0, 1, 0, 1, 0], /'attn_type_list': 2/],
    ['layer_types', ['full_attention'], /lists 1 layers in 'layer_types' where the model has 8/],
    ['sliding_window_pattern', 'LLX', /sliding_window_pattern/],
  ])('is refused by name where layers hang on it: %s', (field, value, message) => {
    expect(() => shapeFromConfig('x', { ...dense, sliding_window: 16, [field]: value })).toThrow(message)
  })

  it('is named otherwise, and what changes no figure is not', () => {
    const { unread } = shapeFromConfig('x', {
      ...dense,
      block_configs: [{ attention: { n_heads_in_group: 8 } }],
      kv_channels_per_group: 16,
      index_topk: 512,
      vision_config: { patch_size: 14 },
      rope_theta: 10_000,
      initializer_range: 0.02,
      attention_dropout: 0.1,
      bos_token_id: 128_000,
      max_window_layers: 28,
      architectures: ['LlamaForCausalLM'],
      transformers_version: '4.57',
    })
    expect(unread.toSorted()).toEqual(['block_configs', 'index_topk', 'kv_channels_per_group', 'vision_config'])
  })
})

describe('layers', () => {
  const kinds = (config: object) =>
    shapeFromConfig('x', { ...dense, ...config }).mixers.map((group) => [
      group.kind === 'gqa' && group.window !== undefined ? 'window' : group.kind,
      group.layers,
    ])

  it.each([
    [
      'every fourth sees all (Cohere)',
      { model_type: 'cohere2', sliding_window: 16 },
      [
        ['gqa', 2],
        ['window', 6],
      ],
    ],
    [
      'a pattern by letter (EXAONE)',
      { sliding_window: 16, sliding_window_pattern: 'LLLG' },
      [
        ['gqa', 2],
        ['window', 6],
      ],
    ],
    [
      'by list (MiMo)',
      { sliding_window_size: 16, hybrid_layer_pattern: [0, 1, 1, 1, 0, 1, 1, 1] },
      [
        ['gqa', 2],
        ['window', 6],
      ],
    ],
    [
      'windows behind some layers (Qwen2)',
      { sliding_window: 16, use_sliding_window: true, max_window_layers: 6 },
      [
        ['gqa', 6],
        ['window', 2],
      ],
    ],
    ['windows switched off (Qwen2)', { model_type: 'qwen2', sliding_window: 16, max_window_layers: 6 }, [['gqa', 8]]],
    [
      'short convolutions (LFM2)',
      { layer_types: ['conv', 'conv', 'full_attention', 'conv', 'conv', 'full_attention', 'conv', 'conv'] },
      [
        ['gqa', 2],
        ['convolution', 6],
      ],
    ],
    [
      'Mamba by period (Jamba)',
      { attn_layer_period: 8, attn_layer_offset: 4, mamba_d_state: 16 },
      [
        ['gqa', 1],
        ['selective', 7],
      ],
    ],
  ])('mix tokens as the family says: %s', (_, config, expected) => {
    expect(kinds(config)).toEqual(expected)
  })

  it.each([
    [{ moe_layer_freq: [0, 0, 1, 1, 1, 1, 1, 1] }, 6],
    [{ first_k_dense_replace: 1, moe_layer_freq: 1 }, 7],
    [{ mlp_layer_types: ['dense', 'dense', 'dense', 'sparse', 'sparse', 'sparse', 'sparse', 'sparse'] }, 5],
    [{ moe_layers: [1, 3, 5, 7] }, 4],
    [{ decoder_sparse_step: 2 }, 4],
    [{ mlp_only_layers: [0, 1], decoder_sparse_step: 1 }, 6],
    [{ expert_layer_period: 2, expert_layer_offset: 1 }, 4],
    [{ moe_layer_start_index: 1, moe_layer_end_index: 6 }, 6],
  ])('have experts where %j says', (config, count) => {
    const { ffns } = shapeFromConfig('x', { ...dense, num_experts: 4, num_experts_per_tok: 2, ...config })
    expect(ffns.find((group) => group.kind === 'moe')?.layers).toBe(count)
  })

  it('share a cache across layers where the file says so', () => {
    const cached = (config: object) =>
      shapeFromConfig('x', { ...dense, ...config }).mixers.map((group) =>
        group.kind === 'gqa' ? group.cachedLayers : 0,
      )
    expect(cached({ use_cla: true, cla_share_factor: 2 })).toEqual([4])
    expect(cached({ num_kv_shared_layers: 3 })).toEqual([5])
    expect(cached({ use_cla: false, cla_share_factor: 2 })).toEqual([8])
  })

  it('have windowed heads of their own sizes', () => {
    const { mixers } = shapeFromConfig('mimo', {
      ...dense,
      head_dim: 24,
      v_head_dim: 16,
      swa_num_key_value_heads: 4,
      swa_head_dim: 12,
      swa_v_head_dim: 8,
      sliding_window: 16,
      hybrid_layer_pattern: [0, 1, 1, 1, 0, 1, 1, 1],
    })
    expect(mixers).toMatchObject([
      { kvHeads: 2, keyDim: 24, valueDim: 16 },
      { kvHeads: 4, keyDim: 12, valueDim: 8 },
    ])
  })
})

describe('weights', () => {
  it('have two matrices without a gate, three with one', () => {
    const ffn = (config: object) => shapeFromConfig('x', { ...dense, ...config }).ffns[0]?.matrices
    expect(ffn({})).toBe(3)
    expect(ffn({ hidden_act: 'relu2' })).toBe(2)
    expect(ffn({ model_type: 'starcoder2' })).toBe(2)
  })

  it('count embeddings once in families that tie them unless told', () => {
    expect(shapeFromConfig('x', { ...dense, model_type: 'cohere' }).tiedEmbeddings).toBe(true)
    expect(shapeFromConfig('x', { ...dense, model_type: 'cohere', tie_word_embeddings: false }).tiedEmbeddings).toBe(
      false,
    )
    expect(shapeFromConfig('x', dense).tiedEmbeddings).toBe(false)
  })

  it('include a vision tower', () => {
    const vision = { hidden_size: 32, num_hidden_layers: 2, intermediate_size: 64 }
    const tower = 2 * (4 * 32 * 32 + 2 * 32 * 64) + 32 * 64 + 64 * 64
    const plain = countWeights(shapeFromConfig('x', dense))
    const seeing = countWeights(shapeFromConfig('x', { ...dense, vision_config: vision }))
    expect(seeing.total - plain.total).toBe(tower)
    expect(seeing.active).toBe(plain.active)
  })
})

describe("a file's own number format", () => {
  it.each([
    [{ quant_method: 'gptq', bits: 4 }, 'int4'],
    [{ quant_method: 'gptq', bits: 8 }, 'int8-weight-only'],
    [{ quant_method: 'awq', bits: 4 }, 'int4'],
    [{ quant_method: 'fp8', fmt: 'e4m3', weight_block_size: [128, 128] }, 'fp8-block'],
    [{ quant_method: 'fp8', activation_scheme: 'dynamic' }, 'fp8'],
    [{ quant_method: 'modelopt', quant_algo: 'NVFP4' }, 'fp4'],
    [{ quant_method: 'modelopt', quant_algo: 'FP8' }, 'fp8'],
    [{ quant_method: 'mxfp4' }, 'mxfp4'],
    [{ quant_method: 'bitsandbytes', load_in_4bit: true }, 'int4'],
    [
      {
        quant_method: 'compressed-tensors',
        config_groups: {
          group_0: { weights: { num_bits: 8, type: 'float', strategy: 'channel' }, input_activations: { num_bits: 8 } },
        },
      },
      'fp8',
    ],
    [
      {
        quant_method: 'compressed-tensors',
        format: 'pack-quantized',
        config_groups: { group_0: { weights: { num_bits: 4, type: 'int', group_size: 32 }, input_activations: null } },
      },
      'int4',
    ],
    [
      {
        quant_method: 'compressed-tensors',
        format: 'nvfp4-pack-quantized',
        config_groups: { group_0: { weights: { num_bits: 4, type: 'float', group_size: 16 } } },
      },
      'fp4',
    ],
  ])('%j is %s', (quantization, format) => {
    expect(formatOf(quantization)).toBe(format)
  })

  it('is named as not understood where it is', () => {
    const shape = shapeFromConfig('x', {
      ...dense,
      quantization_config: { quant_method: 'aqlm', nbits_per_codebook: 16 },
    })
    expect(shape.publishedFormat).toBeUndefined()
    expect(shape.unread).toEqual(['quantization_config (aqlm)'])
  })
})

describe('parseConfigText()', () => {
  it("reads Python's Infinity and NaN as not said, and leaves them alone in strings", () => {
    const text = '{"time_step_limit": [0.0, Infinity], "scale": NaN, "low": -Infinity, "name": "Infinity \\" NaN"}'
    expect(parseConfigText(text)).toEqual({
      time_step_limit: [0, null],
      scale: null,
      low: null,
      name: 'Infinity " NaN',
    })
  })
})
