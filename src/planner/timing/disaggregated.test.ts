import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { resolveModel } from '../../model/index.ts'
import { recommend } from '../search/recommend.ts'
import { describePrediction } from './describe.ts'
import { notCalibrated, predictDisaggregated, queueResidence } from './disaggregated.ts'
import { predict } from './predict.ts'
import { factsOf } from '../work/deployment-facts.ts'
import { deploy, type Parallelism } from '../work/deployment.ts'
import { resolveEngine } from '../work/engine-profiles.ts'
import { resolveHardware } from '../work/hardware.ts'
import { resolveFormat } from '../work/precision.ts'

function side(model: string, gpu: string, format: string, parallelism: Partial<Parallelism>, engine = 'vllm') {
  const full = { tp: 1, pp: 1, ep: 1, dp: 1, ...parallelism }
  return factsOf(
    deploy(resolveModel(model).shape, resolveHardware(gpu), resolveEngine(engine), resolveFormat(format), full),
  )
}

const seventy = {
  prefill: side('llama-3.1-70b', 'h100', 'fp8', { tp: 2 }),
  prefillReplicas: 1,
  decode: side('llama-3.1-70b', 'h100', 'fp8', { tp: 4 }),
  decodeReplicas: 1,
}
const load = { inputTokens: 2000, outputTokens: 500, concurrency: 32 }

describe('predictDisaggregated()', () => {
  it('moves the cache of a prompt over the links of the narrower side: 328 MB over two at 450 GB/s, 0.36 ms', () => {
    const { disaggregation, gpus } = predictDisaggregated(seventy, load)
    // 80 layers, keys and values, 8 heads of 128 in FP8, 2000 tokens.
    expect(disaggregation?.transferBytes).toBe(80 * 2 * 8 * 128 * 2000)
    expect(disaggregation).toMatchObject({ link: 'scale-up', linkGbS: 450 })
    expect(disaggregation?.transferMs).toBeCloseTo(327_680_000 / (2 * 450e6), 6)
    expect(gpus).toBe(6)
  })

  it('takes the network once the unit leaves the scale-up domain', () => {
    const { disaggregation } = predictDisaggregated({ ...seventy, decodeReplicas: 2 }, load)
    expect(disaggregation).toMatchObject({ link: 'scale-out', linkGbS: 50 })
  })

  it('counts a latent cache once, however many GPUs hold copies of it', () => {
    const prefill = side('deepseek-v3', 'b200', 'fp4', { tp: 4 })
    const decode = side('deepseek-v3', 'b200', 'fp4', { ep: 8, dp: 8 })
    const { disaggregation } = predictDisaggregated({ prefill, prefillReplicas: 1, decode, decodeReplicas: 1 }, load)
    expect(disaggregation?.transferBytes).toBe(61 * 576 * 2000)
  })

  it('emits tokens faster than the same GPUs that prefill between steps, and says that nothing calibrated it', () => {
    const apart = predictDisaggregated(seventy, load)
    const together = predict(seventy.decode.deployment, load)
    expect(apart.tpotMs.value).toBeLessThan(together.tpotMs.value)
    expect(apart.extrapolated).toContain(notCalibrated)
    expect(apart.tpotMs.high / apart.tpotMs.value).toBeGreaterThan(together.tpotMs.high / together.tpotMs.value)
    expect(describePrediction(apart)).toBe('vllm fp8 1P(TP2)+1D(TP4) on h100_sxm')
  })

  it('keeps Little’s law, never serves more prompts than prefill can compute, and never speeds up under load', () => {
    const some = fc.record({
      inputTokens: fc.integer({ min: 64, max: 16_000 }),
      outputTokens: fc.integer({ min: 16, max: 4000 }),
      concurrency: fc.integer({ min: 1, max: 500 }),
      prefillReplicas: fc.integer({ min: 1, max: 4 }),
      decodeReplicas: fc.integer({ min: 1, max: 4 }),
    })
    fc.assert(
      fc.property(some, ({ inputTokens, outputTokens, concurrency, prefillReplicas, decodeReplicas }) => {
        const request = { inputTokens, outputTokens, concurrency }
        const layout = { ...seventy, prefillReplicas, decodeReplicas }
        const point = predictDisaggregated(layout, request)
        const requestMs = point.ttftMs.value + point.tpotMs.value * (outputTokens - 1)
        const perSecond = (1000 * concurrency) / requestMs
        expect(point.tokensPerSecondPerGpu.value).toBeCloseTo((perSecond * outputTokens) / point.gpus, 6)
        expect(point.disaggregation?.prefillBusy).toBeLessThanOrEqual(1.02)
        const fuller = predictDisaggregated(layout, { ...request, concurrency: concurrency + 20 })
        expect(fuller.ttftMs.value).toBeGreaterThanOrEqual(point.ttftMs.value * 0.999)
        expect(fuller.tpotMs.value).toBeGreaterThanOrEqual(point.tpotMs.value * 0.999)
      }),
    )
  })

  it('refuses sides that do not share a cache format, and replicas that are none', () => {
    const other = side('llama-3.1-8b', 'h100', 'fp8', {})
    expect(() => predictDisaggregated({ ...seventy, prefill: other }, load)).toThrow(/must share model, GPU, engine/)
    expect(() => predictDisaggregated({ ...seventy, prefillReplicas: 0 }, load)).toThrow(/has 0 prefill and 1 decode/)
  })

  it('says which side does not fit', () => {
    const small = side('llama-3.1-70b', 'h100', 'bf16', { tp: 1 })
    const large = side('llama-3.1-70b', 'h100', 'bf16', { tp: 4 })
    const layout = { prefill: small, prefillReplicas: 1, decode: large, decodeReplicas: 1 }
    expect(() => predictDisaggregated(layout, load)).toThrow(/tp 1 .*each GPU lacks \d+ bytes/)
  })
})

describe('queueResidence()', () => {
  it('is the service alone for one request, and the whole round of services when nothing else takes time', () => {
    expect(queueResidence(10, 1000, 1)).toBeCloseTo(10, 9)
    expect(queueResidence(10, 0, 8)).toBeCloseTo(80, 9)
  })
})

describe('recommend() with prefill and decode apart', () => {
  it('sets such units beside the others, sized for the rate', () => {
    const { choices } = recommend(
      {
        shape: resolveModel('llama-3.1-70b').shape,
        gpus: [resolveHardware('h100')],
        engines: [resolveEngine('vllm')],
        formats: [resolveFormat('fp8')],
        maxGpusPerReplica: 8,
        disaggregated: true,
      },
      { inputTokens: 2000, outputTokens: 500, ttftMs: 800, tpotMs: 25, ratePerSecond: 20 },
      { priceTier: 'neocloud', utilisation: 0.8, prefixHit: 0, tokensPerStep: 1, risk: 'median' },
    )
    const apart = choices.filter(({ prediction }) => prediction.disaggregation !== undefined)
    expect(apart.length).toBeGreaterThan(2)
    expect(choices.length).toBeGreaterThan(apart.length)
    for (const { replicas, gpus, requestsPerSecond, prediction } of apart) {
      expect(gpus).toBe(replicas * prediction.gpus)
      expect(replicas * requestsPerSecond * 0.8).toBeGreaterThanOrEqual(20 - 1e-6)
      expect(prediction.ttftMs.value).toBeLessThanOrEqual(800)
      expect(prediction.tpotMs.value).toBeLessThanOrEqual(25)
    }
  })
})
