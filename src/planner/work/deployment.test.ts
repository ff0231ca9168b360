import { describe, expect, it } from 'vitest'
import { shapeFromConfig } from '../../model/index.ts'
import { deploy, kvHeadCopies } from './deployment.ts'
import { resolveEngine } from './engine-profiles.ts'
import { resolveHardware } from './hardware.ts'
import { fitMemory } from './memory-fit.ts'
import { resolveFormat } from './precision.ts'

const shape = shapeFromConfig('small', {
  model_type: 'qwen3_moe',
  num_hidden_layers: 4,
  hidden_size: 1024,
  num_attention_heads: 40,
  num_key_value_heads: 8,
  head_dim: 128,
  num_experts: 16,
  num_experts_per_tok: 2,
  moe_intermediate_size: 768,
  vocab_size: 1000,
})

function deployed(tp: number, format = 'bf16', ep = 1) {
  const vllm = resolveEngine('vllm')
  return deploy(shape, resolveHardware('h100'), vllm, resolveFormat(format), { tp, pp: 1, ep, dp: 1 })
}

describe('tensor parallelism', () => {
  it('divides KV heads or keeps copies of them, and refuses what does neither', () => {
    expect(kvHeadCopies(deployed(8))).toBe(1)
    expect(kvHeadCopies(deployed(40))).toBe(5)
    expect(() => deployed(5)).toThrow(
      'tp is 5, which neither divides the 8 KV heads of small nor is a multiple of them.',
    )
  })

  it('cuts block-quantised matrices between blocks of 128, unless whole experts are spread', () => {
    expect(() => deployed(4, 'fp8-block')).toThrow(/Experts of small are 768 wide; over 4 GPUs that is 192 each/)
    expect(deployed(2, 'fp8-block').tp).toBe(2)
    expect(deployed(4, 'fp8-block', 4).tp).toBe(4)
    expect(deployed(4, 'fp8').tp).toBe(4)
  })
})

describe('fitMemory()', () => {
  it('states the cache of a token over all GPUs and on one, copies of heads counted once', () => {
    const perLayer = 2 * 8 * 128 * 2
    const alone = fitMemory(deployed(1), 1024, 1)
    const spread = fitMemory(deployed(40), 1024, 1)
    expect([alone.kvBytesPerToken, alone.kvBytesPerTokenPerGpu]).toEqual([4 * perLayer, 4 * perLayer])
    expect([spread.kvBytesPerToken, spread.kvBytesPerTokenPerGpu]).toEqual([4 * perLayer, (4 * perLayer) / 8])
    expect(spread.kvCopies).toBe(5)
  })

  it('keeps windows and states out of the bytes a token', () => {
    const hybrid = shapeFromConfig('hybrid', {
      num_hidden_layers: 4,
      hidden_size: 1024,
      num_attention_heads: 8,
      num_key_value_heads: 8,
      intermediate_size: 2048,
      vocab_size: 1000,
      sliding_window: 512,
      layer_types: ['sliding_attention', 'sliding_attention', 'full_attention', 'mamba'],
      mamba_num_heads: 16,
      mamba_head_dim: 64,
      ssm_state_size: 16,
    })
    const parallelism = { tp: 1, pp: 1, ep: 1, dp: 1 }
    const fit = fitMemory(
      deploy(hybrid, resolveHardware('h100'), resolveEngine('vllm'), resolveFormat('bf16'), parallelism),
      1024,
      1,
    )
    expect(fit.kvBytesPerToken).toBe(2 * 8 * 128 * 2)
    expect(fit.windows).toEqual([{ tokens: 512, bytesPerToken: 2 * 2 * 8 * 128 * 2 }])
    expect(fit.stateBytes).toBeGreaterThan(0)
  })
})
