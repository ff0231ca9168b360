import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { resolveModel } from '../../model/index.ts'
import { factsOf } from './deployment-facts.ts'
import { deploy, type Parallelism } from './deployment.ts'
import { resolveEngine } from './engine-profiles.ts'
import { type Hardware, resolveHardware } from './hardware.ts'
import { resolveFormat } from './precision.ts'
import { decodeWork, expertsTouched, prefillWork } from './step-work.ts'

function factsFor(model: string, gpu: string | Hardware, format: string, parallelism: Partial<Parallelism> = {}) {
  const hardware = typeof gpu === 'string' ? resolveHardware(gpu) : gpu
  const full = { tp: 1, pp: 1, ep: 1, dp: 1, ...parallelism }
  return factsOf(deploy(resolveModel(model).shape, hardware, resolveEngine('vllm'), resolveFormat(format), full))
}

describe('the roofline, by hand', () => {
  it('weighs Llama 70B in FP16 at 141 GB and reads it in 20.7 ms over two H100s', () => {
    const facts = factsFor('llama-3.1-70b', 'h100', 'fp16', { tp: 2 })
    expect(facts.weightBytes / 1e9).toBeCloseTo(141.1, 1)
    // 69.5e9 weights without the input embedding, 2 bytes each, over 2 GPUs of 3.35 TB/s.
    expect(decodeWork(facts, 1, 0).denseReadMs).toBeCloseTo((69.503e9 * 2) / 2 / 3.35e9, 2)
  })

  it('counts two flops per weight and token: 8B prefill of 1,000 tokens is 16.2 ms of 989 TFLOP/s at least', () => {
    const facts = factsFor('llama-3.1-8b', 'h100', 'bf16')
    const work = prefillWork(facts, 1000)
    expect(work.denseComputeMs).toBeCloseTo((2 * 7.504e9 * 1000) / 989e9, 1)
    // Scores and values: 4·32 heads·128·500 tokens behind, 32 layers, 1,000 tokens.
    expect(work.attentionComputeMs).toBeCloseTo((4 * 32 * 128 * 500 * 32 * 1000) / 989e9, 3)
  })

  it('reads 160 KiB of BF16 cache per token and GPU of Llama 70B on two GPUs', () => {
    const facts = factsFor('llama-3.1-70b', 'h100', 'bf16', { tp: 2 })
    expect(facts.kvBytesPerTokenPerGpu).toBe((80 * 2 * 8 * 128 * 2) / 2)
    expect(decodeWork(facts, 3, 2000).cacheReadMs).toBeCloseTo((3 * 2000 * 163_840) / 3.35e9, 9)
  })

  it('touches k experts with one token and nearly all with many', () => {
    expect(expertsTouched(256, 8, 1)).toBeCloseTo(8, 9)
    expect(expertsTouched(256, 8, 2)).toBeCloseTo(256 * (1 - (248 / 256) ** 2), 9)
    expect(expertsTouched(256, 8, 1000)).toBeGreaterThan(255.9)
  })

  it('does not shard the latent cache of MLA by tensor parallelism, but by attention groups', () => {
    const tensor = factsFor('deepseek-v3', 'h200', 'fp8', { tp: 8 })
    const groups = factsFor('deepseek-v3', 'h200', 'fp8', { tp: 1, ep: 8, dp: 8 })
    expect(tensor.kvBytesPerTokenPerGpu).toBe(groups.kvBytesPerTokenPerGpu)
    expect(decodeWork(groups, 64, 4000).cacheReadMs).toBeCloseTo(decodeWork(tensor, 64, 4000).cacheReadMs / 8, 9)
  })

  it('reads at most the window of windowed layers', () => {
    const facts = factsFor('gpt-oss-120b', 'h100', 'fp4')
    const short = decodeWork(facts, 1, 128).cacheReadMs
    const long = decodeWork(facts, 1, 12_800).cacheReadMs
    // Half of the layers keep 128 tokens, the other half a hundred times as many.
    expect(long / short).toBeCloseTo((100 + 1) / 2, 6)
  })
})

describe('the roofline, as laws', () => {
  const models = [
    'llama-3.1-8b',
    'llama-3.1-70b',
    'qwen3-235b-a22b',
    'deepseek-v3',
    'qwen3.5-397b-a17b',
    'gpt-oss-120b',
  ]
  const total = (work: ReturnType<typeof decodeWork>) =>
    work.denseReadMs + work.routedReadMs + work.cacheReadMs + work.denseComputeMs + work.routedComputeMs

  it('never gets slower with more bandwidth, nor faster with more sequences or context', () => {
    const load = fc.record({
      model: fc.constantFrom(...models),
      batch: fc.integer({ min: 1, max: 500 }),
      context: fc.integer({ min: 1, max: 30_000 }),
      faster: fc.double({ min: 1.01, max: 4, noNaN: true }),
    })
    fc.assert(
      fc.property(load, ({ model, batch, context, faster }) => {
        const gpu = resolveHardware('h200')
        const facts = factsFor(model, gpu, 'fp8', { tp: 8 })
        const quick = factsFor(model, { ...gpu, bandwidthTbS: gpu.bandwidthTbS * faster }, 'fp8', { tp: 8 })
        const base = total(decodeWork(facts, batch, context))
        expect(total(decodeWork(quick, batch, context))).toBeLessThan(base)
        expect(total(decodeWork(facts, batch + 1, context))).toBeGreaterThan(base)
        expect(total(decodeWork(facts, batch, context + 500))).toBeGreaterThanOrEqual(base)
      }),
    )
  })

  it('prefills less when more of the prompt is cached', () => {
    const facts = factsFor('llama-3.1-70b', 'h100', 'fp8', { tp: 4 })
    const sum = (cached: number) => {
      const work = prefillWork(facts, 4000, cached)
      return work.denseComputeMs + work.attentionComputeMs
    }
    expect(sum(2000)).toBeLessThan(0.6 * sum(0))
  })
})
