import { TokenmillError } from '../../core/index.ts'
import { countWeights, type ModelShape } from '../../model/index.ts'
import {
  calibratedCoefficients,
  calibratedEnergy,
  calibration,
  type Calibration,
  extrapolations,
  type Spread,
  spreadOf,
} from './calibration.ts'
import { type Load, type Performance, performanceOf, saturatedThroughput } from './closed-loop.ts'
import { usdPerGpuHour, usdPerMillionTokens } from './cost.ts'
import { energyFeatures, joulesPerOutputToken } from './energy.ts'
import { type DeploymentFacts, type DeploymentFactsCache, factsOf } from '../work/deployment-facts.ts'
import type { Deployment } from '../work/deployment.ts'
import type { Disaggregation } from '../work/disaggregated-layout.ts'
import type { PriceTier } from '../work/hardware.ts'
import { assessMemory, cacheCapacity, engineMaxBatch, memoryShortage } from '../work/memory.ts'

/** What is asked of one replica. */
export interface LoadRequest {
  /** Actual tokens, not nominal ones: InferenceX's 8192 means 7,373 on average. */
  readonly inputTokens: number
  readonly outputTokens: number
  /** Requests in flight; undefined: everything queued at once, for the most tokens per second. */
  readonly concurrency: number | undefined
  readonly cachedTokens?: number
  readonly tokensPerStep?: number
}

/** A figure with its 80 % interval. */
export interface Estimated {
  readonly value: number
  readonly low: number
  readonly high: number
}

export interface Prediction {
  readonly ttftMs: Estimated
  readonly tpotMs: Estimated
  /** Output tokens per second, per GPU. */
  readonly tokensPerSecondPerGpu: Estimated
  /** 1000 / TPOT. */
  readonly tokensPerSecondPerUser: Estimated
  /** GPU power alone; undefined where the GPU's power is not known. */
  readonly joulesPerOutputToken: Estimated | undefined
  /** At full utilisation; undefined without a price. */
  readonly usdPerMillionOutputTokens: Estimated | undefined
  readonly priceTier: PriceTier | undefined
  /** Requests in flight on one replica. */
  readonly concurrency: number
  /** Most sequences that the cache holds at once. */
  readonly maxBatch: number
  readonly load: Load
  readonly performance: Performance
  readonly facts: DeploymentFacts
  /** GPUs of the replica; of the whole unit where prefill and decode have their own. */
  readonly gpus: number
  /** Where prefill has GPUs of its own; `facts` and `performance` are then the decode side's. */
  readonly disaggregation: Disaggregation | undefined
  /** Why this leaves what was measured; empty where it does not. */
  readonly extrapolated: readonly string[]
}

export interface PredictOptions {
  readonly priceTier?: PriceTier
  readonly utilisation?: number
  readonly calibration?: Calibration
}

/**
 * Predicts times, throughput, energy and cost of a replica under a load.
 * Throws `invalid_request` for lengths that are no lengths, `context_length_exceeded` past the model's context, and
 * `unsupported` when the weights or a single sequence do not fit, with the bytes missing and what would make it fit.
 */
export function predict(
  deployment: Deployment,
  request: LoadRequest,
  options: PredictOptions = {},
  cache?: DeploymentFactsCache,
): Prediction {
  checkLengths(deployment.shape, request)
  const facts = cache?.of(deployment) ?? factsOf(deployment)
  const { inputTokens, outputTokens } = request
  const memory = assessMemory(facts)
  const capacity = Math.min(engineMaxBatch(deployment), cacheCapacity(facts, inputTokens, outputTokens, memory.usable))
  if (capacity < 1) throw memoryShortage(facts, inputTokens + outputTokens)
  const from = options.calibration ?? calibration
  const { engine, gpu } = deployment
  const concurrency = request.concurrency ?? capacity
  const load = {
    inputTokens,
    outputTokens,
    concurrency,
    cachedTokens: request.cachedTokens ?? 0,
    tokensPerStep: request.tokensPerStep ?? 1,
  }
  const performance = performanceOf(facts, load, capacity, calibratedCoefficients(engine, gpu, from))
  const reasons = extrapolations(facts, load, countWeights(deployment.shape).active, from)
  const outside = reasons.length > 0
  const offline = request.concurrency === undefined
  const perReplica = offline
    ? saturatedThroughput(performance, outputTokens) * (from.offline[gpu.generation] ?? 1)
    : closedLoopThroughput(performance, load)
  const tpotSpread = spreadOf('tpot', engine, outside, from)
  const rateSpread = offline ? spreadOf('throughput', engine, outside, from) : inverse(tpotSpread)
  const perGpu = perReplica / facts.gpus
  const features = energyFeatures(facts, load, performance)
  const energy = calibratedEnergy(gpu, from)
  const price = usdPerGpuHour(gpu, options.priceTier ?? 'neocloud')
  return {
    ttftMs: estimated(performance.ttftMs, spreadOf('ttft', engine, outside, from)),
    tpotMs: estimated(performance.tpotMs, tpotSpread),
    tokensPerSecondPerGpu: estimated(perGpu, rateSpread),
    tokensPerSecondPerUser: estimated(1000 / performance.tpotMs, inverse(tpotSpread)),
    joulesPerOutputToken:
      features === undefined || energy === undefined
        ? undefined
        : estimated(joulesPerOutputToken(features, energy), spreadOf('joules', undefined, outside, from)),
    usdPerMillionOutputTokens:
      price === undefined
        ? undefined
        : estimated(usdPerMillionTokens(price.usd, perGpu, options.utilisation ?? 1), inverse(rateSpread)),
    priceTier: price?.tier,
    concurrency,
    maxBatch: Math.floor(capacity),
    load,
    performance,
    facts,
    gpus: facts.gpus,
    disaggregation: undefined,
    extrapolated: reasons,
  }
}

/** Little's law: tokens/s = requests in flight · tokens each / time each. */
function closedLoopThroughput(
  performance: Performance,
  load: { readonly concurrency: number; readonly outputTokens: number },
): number {
  const requestMs = performance.ttftMs + performance.tpotMs * Math.max(0, load.outputTokens - 1)
  return (1000 * load.concurrency * load.outputTokens) / requestMs
}

/** A figure with the interval that its spread gives. */
export function estimated(value: number, spread: Spread): Estimated {
  return { value, low: value * spread.low, high: value * spread.high }
}

/** The spread of a reciprocal. */
export function inverse(spread: Spread): Spread {
  return { low: 1 / spread.high, high: 1 / spread.low }
}

/** Refuses lengths, loads and contexts that are none; see `predict`. */
export function checkLengths(shape: ModelShape, request: LoadRequest): void {
  const { inputTokens, outputTokens, concurrency, tokensPerStep = 1, cachedTokens = 0 } = request
  const fail = (param: string, message: string): never => {
    throw new TokenmillError('invalid_request', message, { param })
  }
  if (!(inputTokens >= 1)) fail('isl', `isl is ${inputTokens}; it must be at least 1 token.`)
  if (!(outputTokens >= 1)) fail('osl', `osl is ${outputTokens}; it must be at least 1 token.`)
  if (concurrency !== undefined && !(concurrency > 0)) {
    fail('concurrency', `concurrency is ${concurrency}; it must be above 0, or empty for offline throughput.`)
  }
  if (!(tokensPerStep >= 1)) fail('tokensPerStep', `Tokens per step are ${tokensPerStep}; they must be at least 1.`)
  if (!(cachedTokens >= 0) || cachedTokens > inputTokens) {
    fail('cachedTokens', `Cached tokens are ${cachedTokens}; they must lie between 0 and isl (${inputTokens}).`)
  }
  const total = inputTokens + outputTokens
  if (shape.contextTokens !== undefined && total > shape.contextTokens) {
    throw new TokenmillError(
      'context_length_exceeded',
      `isl + osl is ${total} tokens; the context of ${shape.name} is ${shape.contextTokens} tokens. Shorten one of them.`,
      { limit: 'contextTokens', maximum: shape.contextTokens, actual: total, unit: 'tokens' },
    )
  }
}
