import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { TokenmillError } from '../../core/index.ts'
import { resolveModel } from '../../model/index.ts'
import { explain, oneStreamBandwidth } from './explain.ts'
import { predict } from './predict.ts'
import { deploy, type Parallelism } from '../work/deployment.ts'
import { resolveEngine } from '../work/engine-profiles.ts'
import { resolveHardware } from '../work/hardware.ts'
import { fitMemory } from '../work/memory-fit.ts'
import { overrideHardware } from '../work/overrides.ts'
import { resolveFormat } from '../work/precision.ts'
import { decodeWork, prefillWork, type StepWork } from '../work/step-work.ts'

function deployment(
  model: string,
  gpu: string,
  engine: string,
  format: string,
  parallelism: Partial<Parallelism> = {},
) {
  const full = { tp: 1, pp: 1, ep: 1, dp: 1, ...parallelism }
  return deploy(resolveModel(model).shape, resolveHardware(gpu), resolveEngine(engine), resolveFormat(format), full)
}

function computeMs(work: StepWork): number {
  return work.denseComputeMs + work.routedComputeMs + work.attentionComputeMs
}

const load = { inputTokens: 2000, outputTokens: 500, concurrency: 16 }

describe('predict()', () => {
  it('orders each interval around its figure, and widens it where it extrapolates', () => {
    const known = predict(deployment('llama-3.1-70b', 'h100', 'vllm', 'fp8', { tp: 4 }), load)
    expect(known.extrapolated).toEqual([])
    for (const { value, low, high } of [known.ttftMs, known.tpotMs, known.tokensPerSecondPerGpu]) {
      expect(low).toBeLessThan(value)
      expect(high).toBeGreaterThan(value)
    }
    const unknown = predict(deployment('llama-3.1-70b', 'mi300x', 'vllm', 'fp8', { tp: 4 }), load)
    expect(unknown.extrapolated).toEqual(['vllm on cdna3 not measured'])
    expect(unknown.tpotMs.high / unknown.tpotMs.low).toBeGreaterThan(known.tpotMs.high / known.tpotMs.low)
  })

  it('keeps throughput, speed and time consistent: Little’s law and 1000/TPOT', () => {
    const { ttftMs, tpotMs, tokensPerSecondPerGpu, tokensPerSecondPerUser } = predict(
      deployment('llama-3.1-70b', 'h100', 'vllm', 'fp8', { tp: 4 }),
      load,
    )
    const requestMs = ttftMs.value + 499 * tpotMs.value
    expect(tokensPerSecondPerGpu.value).toBeCloseTo((16 * 500 * 1000) / requestMs / 4, 6)
    expect(tokensPerSecondPerUser.value).toBeCloseTo(1000 / tpotMs.value, 9)
  })

  it('never slows down with a better GPU, nor speeds up one user by adding others', () => {
    const some = fc.record({
      model: fc.constantFrom('llama-3.1-8b', 'llama-3.1-70b', 'qwen3-30b-a3b', 'gpt-oss-120b'),
      engine: fc.constantFrom('vllm', 'sglang', 'trtllm'),
      inputTokens: fc.integer({ min: 16, max: 16_000 }),
      outputTokens: fc.integer({ min: 16, max: 4000 }),
      concurrency: fc.integer({ min: 1, max: 200 }),
    })
    fc.assert(
      fc.property(some, ({ model, engine, inputTokens, outputTokens, concurrency }) => {
        const { shape } = resolveModel(model)
        const gpu = resolveHardware('h200')
        const parallelism = { tp: 4, pp: 1, ep: 1, dp: 1 }
        const own = deploy(shape, gpu, resolveEngine(engine), resolveFormat('fp8'), parallelism)
        const faster = overrideHardware(gpu, ['bandwidthTbS=9', 'denseTflops.fp8=4000', 'denseTflops.bf16=2000'])
        const better = deploy(shape, faster, resolveEngine(engine), resolveFormat('fp8'), parallelism)
        const request = { inputTokens, outputTokens, concurrency }
        const base = predict(own, request)
        expect(predict(better, request).tpotMs.value).toBeLessThanOrEqual(base.tpotMs.value * 1.000001)
        if (base.maxBatch > concurrency + 1) {
          const fuller = predict(own, { ...request, concurrency: concurrency + 1 })
          expect(fuller.tpotMs.value).toBeGreaterThanOrEqual(base.tpotMs.value * 0.999999)
        }
      }),
    )
  })

  it('never beats the peak of memory or arithmetic', () => {
    const some = fc.record({
      model: fc.constantFrom('llama-3.1-8b', 'llama-2-70b', 'qwen3-30b-a3b', 'gpt-oss-120b', 'deepseek-v3'),
      gpu: fc.constantFrom('a100', 'h100', 'b200', 'l40s', 'mi300x'),
      engine: fc.constantFrom('vllm', 'sglang', 'trtllm'),
      format: fc.constantFrom('bf16', 'fp8', 'fp4', 'int4'),
      inputTokens: fc.integer({ min: 1, max: 3000 }),
      outputTokens: fc.integer({ min: 1, max: 1000 }),
      concurrency: fc.option(fc.integer({ min: 1, max: 1000 }), { nil: undefined }),
      dp: fc.constantFrom(1, 8),
    })
    fc.assert(
      fc.property(some, ({ model, gpu, engine, format, dp, ...request }) => {
        if (engine === 'trtllm' && gpu === 'mi300x') return
        const own = deployment(model, gpu, engine, format, { tp: dp === 1 ? 8 : 1, dp })
        if (fitMemory(own, request.inputTokens + request.outputTokens, dp).missingBytes > 0) return
        const prediction = predict(own, request)
        const { facts, performance, load, tpotMs, ttftMs, tokensPerSecondPerGpu } = prediction
        const context = load.inputTokens + load.outputTokens / 2
        const step = decodeWork(facts, performance.decoding, context)
        const prompt = computeMs(prefillWork(facts, load.inputTokens))
        const readMs = step.denseReadMs + step.routedReadMs + step.cacheReadMs
        expect(tpotMs.value).toBeGreaterThanOrEqual(0.999 * Math.max(readMs, computeMs(step)))
        expect(ttftMs.value).toBeGreaterThan(prompt)
        const leastMsPerToken = prompt / load.outputTokens + computeMs(step) / performance.decoding
        expect(tokensPerSecondPerGpu.value * facts.gpus).toBeLessThan(1000 / leastMsPerToken)
      }),
    )
  })

  it('lets answers of one token wait for the prompts before them, and reads no gap into them', () => {
    const own = deployment('llama-3.1-8b', 'h100', 'vllm', 'fp8')
    const [few, many] = [8, 256].map((concurrency) => predict(own, { inputTokens: 2000, outputTokens: 1, concurrency }))
    expect(many?.tpotMs.value).toBeLessThan(3 * (few?.tpotMs.value ?? 0))
    expect(many?.ttftMs.value).toBeGreaterThan(16 * (few?.ttftMs.value ?? 0))
    const offline = predict(own, { inputTokens: 2000, outputTokens: 2, concurrency: undefined })
    const closed = predict(own, { inputTokens: 2000, outputTokens: 2, concurrency: 256 })
    expect(offline.tokensPerSecondPerGpu.value).toBeGreaterThan(closed.tokensPerSecondPerGpu.value)
  })

  it('says by how many bytes it does not fit, and what would make it fit', () => {
    const tight = deployment('llama-3.1-70b', 'h100', 'vllm', 'bf16')
    expect(() => predict(tight, load)).toThrow(/each GPU lacks \d+ bytes \(64\.\d GB\).*2 GPUs per replica/)
  })

  it('refuses lengths past the context with both numbers', () => {
    const request = { inputTokens: 131_000, outputTokens: 1000, concurrency: 1 }
    expect(() => predict(deployment('llama-3.1-70b', 'h200', 'vllm', 'fp8', { tp: 4 }), request)).toThrow(
      /isl \+ osl is 132000 tokens; the context of llama-3.1-70b is 131072 tokens/,
    )
  })

  it.each([
    [{ ep: 8 }, 'llama-3.1-70b', /ep is 8, but llama-3.1-70b has no experts/],
    [{ tp: 2, ep: 4 }, 'qwen3-235b-a22b', /ep is 4, but tp × dp gives a stage only 2 GPUs/],
    [{ tp: 3 }, 'llama-3.1-70b', /tp is 3, which does not divide the 64 attention heads/],
    [{ pp: 100 }, 'llama-3.1-70b', /pp is 100, but llama-3.1-70b has 80 layers/],
    [{ dp: 0 }, 'llama-3.1-70b', /dp is 0; it must be a whole number from 1/],
  ])('refuses the contradictory parallelism %j of %s', (parallelism, model, message) => {
    expect(() => deployment(model, 'h100', 'vllm', 'fp8', parallelism)).toThrow(message)
  })
})

describe('explain()', () => {
  it('gives parts that add up to the step, and the step with its interference to the TPOT', () => {
    const prediction = predict(deployment('deepseek-r1', 'b200', 'trtllm', 'fp4', { tp: 8 }), {
      ...load,
      concurrency: 64,
    })
    const { parts, stepMs, interferenceMs, tpotMs, ttft } = explain(prediction)
    expect(parts.reduce((sum, part) => sum + part.ms, 0)).toBeCloseTo(stepMs, 9)
    expect(stepMs + interferenceMs).toBeCloseTo(tpotMs, 9)
    expect(stepMs).toBeCloseTo(prediction.performance.stepMs, 1)
    expect(ttft.reduce((sum, part) => sum + part.ms, 0)).toBeCloseTo(prediction.ttftMs.value, 6)
  })

  it('works out the textbook case: 1,000 tokens/s of Llama 70B in FP16 need 141 TB/s, 42 H100s', () => {
    const { facts } = predict(deployment('llama-3.1-70b', 'h100', 'vllm', 'fp16', { tp: 2 }), {
      ...load,
      concurrency: 1,
    })
    expect(Math.round(facts.weightBytes / 1e9)).toBe(141)
    const { tbS, gpus } = oneStreamBandwidth(facts.weightBytes, 1000, 3.35)
    expect(Math.round(tbS)).toBe(141)
    expect(gpus).toBe(42)
  })
})

describe('fitMemory()', () => {
  it('counts what fits, and the bytes that are missing', () => {
    const fit = fitMemory(deployment('qwen3-235b-a22b', 'h200', 'vllm', 'fp8', { tp: 4 }), 32_768, 16)
    expect(fit.fits).toBe(true)
    expect(fit.weightBytes / 1e9).toBeCloseTo(236, 0)
    const at8k = fit.batches.find(({ tokens }) => tokens === 8192)?.sequences ?? 0
    expect(fitMemory(deployment('qwen3-235b-a22b', 'h200', 'vllm', 'fp8', { tp: 4 }), 8192, at8k).missingBytes).toBe(0)
    expect(
      fitMemory(deployment('qwen3-235b-a22b', 'h200', 'vllm', 'fp8', { tp: 4 }), 8192, at8k + 1).missingBytes,
    ).toBeGreaterThan(0)
  })
})

describe('names that nobody knows', () => {
  it.each([
    [() => resolveHardware('h1000'), /GPU 'h1000' is not known. Nearest: h100_sxm,/],
    [() => resolveFormat('fp9'), /Precision 'fp9' is not known. Nearest: .*fp8/],
    [() => overrideHardware(resolveHardware('h100'), ['bandwith=3']), /no figure 'bandwith'. Nearest: bandwidthTbS/],
    [() => overrideHardware(resolveHardware('h100'), ['tdpW=-3']), /'-3' is no positive number/],
  ])('are answered with the nearest (%#)', (act, message) => {
    expect(act).toThrow(TokenmillError)
    expect(act).toThrow(message)
  })
})
