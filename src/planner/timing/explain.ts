import { countWeights } from '../../model/index.ts'
import { calibratedCoefficients } from './calibration.ts'
import type { Prediction } from './predict.ts'
import { expansion, launchMs, linearTimes, peakMs } from './step-time.ts'
import { memoryBytes } from '../work/memory.ts'
import { decodeWork } from '../work/step-work.ts'

/** One part of a decode step: what it takes at the hardware's peak, the factor of the calibration, the result. */
export interface StepPart {
  readonly name: string
  /** How the peak figure comes about, with numbers. */
  readonly working: string
  readonly peakMs: number | undefined
  readonly factor: number | undefined
  readonly ms: number
}

export interface Explanation {
  readonly parts: readonly StepPart[]
  readonly stepMs: number
  /** Prefill of other requests that stands between two steps, ms. */
  readonly interferenceMs: number
  readonly tpotMs: number
  readonly ttft: readonly { readonly name: string; readonly ms: number }[]
  readonly facts: readonly { readonly name: string; readonly value: string }[]
}

/** Takes a prediction apart so that a person can redo it with a pocket calculator. */
export function explain(prediction: Prediction): Explanation {
  const { facts, performance } = prediction
  const { deployment } = facts
  const { gpu, shape, engine, precision } = deployment
  const coefficients = calibratedCoefficients(engine, gpu)
  const context = prediction.facts.deployment.shape.layers === 0 ? 0 : contextOf(prediction)
  const work = decodeWork(facts, performance.decoding, context)
  const batch = performance.decoding
  const gb = (ms: number) => `${((ms * gpu.bandwidthTbS * 1e9) / 1e9).toFixed(2)} GB / ${gpu.bandwidthTbS} TB/s`
  const { readMs, computeMs } = linearTimes(facts, work, coefficients)
  const expand = expansion(facts, coefficients)
  const computePeakMs = work.denseComputeMs + work.routedComputeMs
  const computeFactor = computeMs / computePeakMs
  const linearMs = (readMs ** 3 + computeMs ** 3) ** (1 / 3)
  const cacheMs = Math.max(coefficients.cacheRead * work.cacheReadMs, work.attentionComputeMs)
  const parts: StepPart[] = [
    part('dense weights read', gb(work.denseReadMs), work.denseReadMs, coefficients.denseRead),
    ...(work.routedReadMs === 0
      ? []
      : [
          part(
            'experts read',
            expertWorking(prediction, gb(work.routedReadMs)),
            work.routedReadMs,
            expand * coefficients.routedRead,
          ),
        ]),
    {
      name: 'arithmetic beyond the reads',
      working: `∛(reads³ + compute³) − reads; compute at peak ${computePeakMs.toFixed(3)} ms × ${computeFactor.toFixed(2)}`,
      peakMs: computePeakMs,
      factor: computeFactor,
      ms: linearMs - readMs,
    },
    {
      name: 'KV cache read',
      working: `${batch.toFixed(1)} sequences × ${context.toFixed(0)} tokens: ${gb(work.cacheReadMs)}`,
      peakMs: work.cacheReadMs,
      factor: coefficients.cacheRead,
      ms: cacheMs,
    },
    {
      name: 'kernel launches',
      working: `${facts.kernels} kernels × ${(coefficients.kernel * 1000).toFixed(2)} µs${facts.moeLayers > 0 ? ` + ${facts.moeLayers} expert layers × ${(coefficients.moeLayer * 1000).toFixed(2)} µs` : ''}`,
      peakMs: undefined,
      factor: undefined,
      ms: launchMs(facts, coefficients),
    },
    {
      name: 'collectives',
      working: `${work.collectives} × ${(coefficients.collective * 1000).toFixed(2)} µs + bytes ${work.transferMs.toFixed(3)} ms × ${coefficients.transfer.toFixed(2)}`,
      peakMs: work.transferMs,
      factor: coefficients.transfer,
      ms: coefficients.collective * work.collectives + coefficients.transfer * work.transferMs,
    },
    {
      name: 'host',
      working: `${coefficients.step.toFixed(3)} ms + ${(batch / deployment.dp).toFixed(1)} sequences × ${(coefficients.sequence * 1000).toFixed(1)} µs`,
      peakMs: undefined,
      factor: undefined,
      ms: coefficients.step + (coefficients.sequence * batch) / deployment.dp,
    },
  ]
  const counts = countWeights(shape)
  const sumMs = parts.reduce((sum, one) => sum + one.ms, 0)
  const stepMs = Math.max(sumMs, peakMs(work))
  if (stepMs > sumMs) {
    const working = `no step is faster than the hardware's peak, ${stepMs.toFixed(3)} ms`
    parts.push({ name: 'held at the peak', working, peakMs: stepMs, factor: undefined, ms: stepMs - sumMs })
  }
  return {
    parts,
    stepMs,
    interferenceMs: prediction.performance.tpotMs - stepMs,
    tpotMs: prediction.performance.tpotMs,
    ttft: ttftParts(prediction, coefficients.firstToken),
    facts: [
      {
        name: 'weights',
        value: `${(counts.total / 1e9).toFixed(2)} billion, ${(counts.active / 1e9).toFixed(2)} billion active`,
      },
      { name: 'weight bytes', value: `${(facts.weightBytes / 1e9).toFixed(1)} GB in ${precision.format.name}` },
      {
        name: 'weight bytes per GPU',
        value: `${(facts.weightBytesPerGpu / 1e9).toFixed(1)} of ${(memoryBytes(gpu) / 1e9).toFixed(1)} GB`,
      },
      {
        name: 'KV cache',
        value: `${(facts.kvBytesPerTokenPerGpu / 1024).toFixed(1)} KiB per token and GPU in ${precision.kvBytes === 1 ? 'FP8' : 'BF16'}`,
      },
      { name: 'most sequences at once', value: String(prediction.maxBatch) },
    ],
  }
}

function part(name: string, working: string, peakMs: number, factor: number): StepPart {
  return { name, working, peakMs, factor, ms: peakMs * factor }
}

function contextOf({ load }: Prediction): number {
  return load.inputTokens + load.outputTokens / 2
}

function expertWorking({ facts, performance }: Prediction, read: string): string {
  const [group] = facts.routed
  if (group === undefined) return read
  const touched =
    group.experts * (1 - (1 - group.topExperts / group.experts) ** (performance.decoding / facts.deployment.pp))
  return `${touched.toFixed(1)} of ${group.experts} experts touched: ${read}`
}

function ttftParts({ performance }: Prediction, firstTokenMs: number): Explanation['ttft'] {
  const { prefillMs, stepMs, cacheWaitMs, ttftMs } = performance
  return [
    { name: 'request handling and first step', ms: firstTokenMs + stepMs },
    { name: 'own prefill', ms: prefillMs },
    { name: 'behind other prompts', ms: Math.max(0, ttftMs - firstTokenMs - stepMs - prefillMs - cacheWaitMs) },
    { name: 'waiting for cache', ms: cacheWaitMs },
  ]
}

/**
 * The classic question: what must the memory deliver for `tokensPerSecond` in one stream, and how many GPUs is
 * that at peak? Every token reads every weight once: bytes/s = weight bytes × tokens/s.
 */
export function oneStreamBandwidth(
  weightBytes: number,
  tokensPerSecond: number,
  gpuTbS: number,
): { readonly tbS: number; readonly gpus: number } {
  const tbS = (weightBytes * tokensPerSecond) / 1e12
  return { tbS, gpus: Math.round(tbS / gpuTbS) }
}
