import { TokenmillError } from '../../core/index.ts'
import { calibratedCoefficients } from '../timing/calibration.ts'
import { type Performance, performanceOf } from '../timing/closed-loop.ts'
import { type LoadRequest, predict, type Prediction } from '../timing/predict.ts'
import { factsOf } from '../work/deployment-facts.ts'
import { deploy, type Deployment, type Parallelism } from '../work/deployment.ts'
import type { EngineProfile } from '../work/engine-profiles.ts'
import { type ComputeFormat, type Hardware, peakTflops } from '../work/hardware.ts'
import { assessMemory } from '../work/memory.ts'
import { type NumberFormat, resolveFormat } from '../work/precision.ts'
import { type SparsityVerdict, speedOfSparsity } from '../work/sparsity.ts'
import type { ModelShape } from '../../model/index.ts'

/** One number format for a model on a GPU: what it saves, what it gains, and what it is known to cost. */
export interface PrecisionComparison {
  readonly format: NumberFormat
  /** All weights of the model, bytes. */
  readonly weightBytes: number
  /** Fewest tensor-parallel GPUs of one scale-up domain that hold the weights; undefined: more than these. */
  readonly fewestGpus: number | undefined
  /** Units that multiply the linear layers. */
  readonly computedIn: ComputeFormat
  /** The GPU has units of the format; else weights are expanded to BF16 and only bytes are saved. */
  readonly native: boolean
  /** Peak arithmetic over that of BF16. */
  readonly peakRatio: number
  /** BF16 time over this format's, memory aside: one prompt's prefill, and one decode step at the asked load. */
  readonly prefillFactor: number
  readonly decodeFactor: number
  /** With the GPU's memory considered; undefined when it does not fit, and then the reason. */
  readonly prediction: Prediction | undefined
  readonly reason: string | undefined
}

/** 2:4 sparsity on top of a format, as a bound: half of the weights, and twice the arithmetic where units have it. */
export interface SparsityComparison {
  readonly format: NumberFormat
  readonly verdict: SparsityVerdict
  readonly peakRatio: number
  /** Dense time over sparse time if sparse kernels reached the share of peak that dense ones do. */
  readonly prefillBound: number
  readonly decodeBound: number
}

export interface PrecisionQuestion {
  readonly shape: ModelShape
  readonly gpu: Hardware
  readonly engine: EngineProfile
  readonly formats: readonly NumberFormat[]
  readonly parallelism: Parallelism
  readonly load: LoadRequest & { readonly concurrency: number }
}

/** Every format on the same GPUs under the same load, beside BF16. */
export function comparePrecisions(question: PrecisionQuestion): readonly PrecisionComparison[] {
  const { shape, gpu, engine, formats, parallelism } = question
  const reference = timesAside(question, deploy(shape, gpu, engine, resolveFormat('bf16'), parallelism))
  return formats.map((format) => {
    const deployment = deploy(shape, gpu, engine, format, parallelism)
    const times = timesAside(question, deployment)
    const { precision } = deployment
    const { prediction, reason } = predicted(deployment, question.load)
    const computedIn = precision.weightOnly ? 'bf16' : format.compute
    return {
      format,
      weightBytes: factsOf(deployment).weightBytes,
      fewestGpus: fewestGpus(question, format),
      computedIn,
      native: !precision.weightOnly,
      peakRatio: peakTflops(gpu, computedIn).tflops / peakTflops(gpu, 'bf16').tflops,
      prefillFactor: reference.prefillMs / times.prefillMs,
      decodeFactor: reference.stepMs / times.stepMs,
      prediction,
      reason,
    }
  })
}

/** What 2:4 sparsity could add to the formats with sparse units, at best. Empty where the GPU has none. */
export function compareSparsity(question: PrecisionQuestion): readonly SparsityComparison[] {
  const { shape, gpu, engine, parallelism } = question
  const peakRatio = gpu.sparsity24 ?? 1
  if (peakRatio <= 1) return []
  const formats = ['bf16', 'fp8'].map((id) => resolveFormat(id))
  return formats
    .filter((format) => gpu.denseTflops[format.compute] !== undefined)
    .map((format) => {
      const verdict = speedOfSparsity(format.bits)
      const rate = peakTflops(gpu, format.compute).tflops * peakRatio
      const fasterGpu = { ...gpu, denseTflops: { ...gpu.denseTflops, [format.compute]: rate } }
      const dense = deploy(shape, gpu, engine, format, parallelism)
      const half = deploy(shape, fasterGpu, engine, format, parallelism, dense.precision.kvBytes)
      const bits = (own: number) => (own === format.bits ? verdict.bitsPerWeight : own)
      const { mixerBits, denseBits, routedBits } = half.precision
      const precision = {
        ...half.precision,
        mixerBits: bits(mixerBits),
        denseBits: bits(denseBits),
        routedBits: bits(routedBits),
      }
      const before = timesAside(question, dense)
      const after = timesAside(question, { ...half, precision })
      return {
        format,
        verdict,
        peakRatio,
        prefillBound: before.prefillMs / after.prefillMs,
        decodeBound: before.stepMs / after.stepMs,
      }
    })
}

/** The times that a deployment would have were its GPUs' memory without end: speed alone. */
function timesAside({ load }: PrecisionQuestion, deployment: Deployment): Performance {
  const full = { cachedTokens: 0, tokensPerStep: 1, ...load }
  const coefficients = calibratedCoefficients(deployment.engine, deployment.gpu)
  return performanceOf(factsOf(deployment), full, Infinity, coefficients)
}

function predicted(
  deployment: Deployment,
  load: LoadRequest,
): { readonly prediction: Prediction | undefined; readonly reason: string | undefined } {
  try {
    return { prediction: predict(deployment, load), reason: undefined }
  } catch (error) {
    if (!(error instanceof TokenmillError) || error.code !== 'unsupported') throw error
    return { prediction: undefined, reason: error.message }
  }
}

/** GPUs on which to compare formats: the fewest that hold BF16, or one whole scale-up domain where none does. */
export function tensorParallelFor(shape: ModelShape, gpu: Hardware, engine: EngineProfile): number {
  const bf16 = resolveFormat('bf16')
  const least = fewestGpus({ shape, gpu, engine }, bf16)
  if (least !== undefined) return least
  let tp = 1
  for (let next = 2; next <= Math.min(gpu.scaleUpGpus, 16); next *= 2) {
    try {
      deploy(shape, gpu, engine, bf16, { tp: next, pp: 1, ep: 1, dp: 1 })
    } catch (error) {
      if (error instanceof TokenmillError) break
      throw error
    }
    tp = next
  }
  return tp
}

/** The fewest GPUs, by powers of two within one scale-up domain, whose memory holds the weights in a format. */
function fewestGpus(
  { shape, gpu, engine }: Pick<PrecisionQuestion, 'shape' | 'gpu' | 'engine'>,
  format: NumberFormat,
): number | undefined {
  for (let tp = 1; tp <= gpu.scaleUpGpus; tp *= 2) {
    try {
      const deployment = deploy(shape, gpu, engine, format, { tp, pp: 1, ep: 1, dp: 1 })
      if (assessMemory(factsOf(deployment)).roomBytes > 0) return tp
    } catch (error) {
      // These heads do not divide by this size, nor by any larger one.
      if (error instanceof TokenmillError) return undefined
      throw error
    }
  }
  return undefined
}
