import { countWeights } from '../../model/index.ts'
import { calibratedCoefficients, calibratedEnergy, calibration, extrapolations, spreadOf } from './calibration.ts'
import type { Coefficients } from './coefficients.ts'
import { usdPerGpuHour, usdPerMillionTokens } from './cost.ts'
import { energyFeatures, joulesPerOutputToken } from './energy.ts'
import { checkLengths, estimated, inverse, type LoadRequest, type Prediction, type PredictOptions } from './predict.ts'
import { prefillMs, prefillWorkMs, stepMs } from './step-time.ts'
import type { DeploymentFacts } from '../work/deployment-facts.ts'
import { checkLayout, type DisaggregatedLayout, type Disaggregation, layoutGpus } from '../work/disaggregated-layout.ts'
import {
  assessMemory,
  cacheCapacity,
  cacheRoomBytes,
  engineMaxBatch,
  memoryShortage,
  sequenceBytes,
} from '../work/memory.ts'
import { decodeWork, prefillWork } from '../work/step-work.ts'

export const notCalibrated = 'disaggregated serving not calibrated: coefficients of aggregated runs, links at peak'

/** Tokens that engines prefill in one go: short prompts share their launches. Default of vLLM, SGLang and TensorRT-LLM. */
const prefillBudgetTokens = 8192

/**
 * Predicts a disaggregated unit under a closed loop of `concurrency` requests.
 *
 * ```
 * service   S = (prefill work + launches shared by 8,192 tokens)/x per prompt; residence R from Bard and Schweitzer's approximation of a closed queueing
 *           network, N requests, one prefill queue, Z elsewhere:  R = ((S·N − Z) + √((S·N − Z)² + 4·S·Z)) / 2
 * transfer  isl · KV bytes per token / (GPUs that hold the prompt on the narrower side · link)
 * TPOT      a decode step alone: no prompt stands between two steps
 * TTFT      firstToken + R + rest of the prompt's own prefill + transfer + one step + wait for decode cache
 * tokens/s  N · osl / (TTFT + TPOT·(osl − 1))                     Little's law
 * ```
 *
 * The queue's formula: P. Schweitzer, "Approximate analysis of multiclass closed networks of queues", 1979; several
 * prefill replicas as one of x times the speed and the rest as delay after Seidmann, Schweitzer and Shalev-Oren,
 * 1987. Throws what `predict` throws.
 */
export function predictDisaggregated(
  layout: DisaggregatedLayout,
  request: LoadRequest & { readonly concurrency: number },
  options: PredictOptions = {},
): Prediction {
  const { prefill, decode, prefillReplicas, decodeReplicas } = layout
  const { shape, gpu, engine } = decode.deployment
  checkLayout(layout)
  checkLengths(shape, request)
  const { inputTokens, outputTokens, concurrency } = request
  const load = { cachedTokens: 0, tokensPerStep: 1, ...request }
  const from = options.calibration ?? calibration
  const coefficients = calibratedCoefficients(engine, gpu, from)
  const { usable } = assessMemory(decode)
  const capacity =
    decodeReplicas *
    Math.min(engineMaxBatch(decode.deployment), cacheCapacity(decode, inputTokens, outputTokens, usable))
  if (capacity < decodeReplicas) throw memoryShortage(decode, inputTokens + outputTokens)
  if (cacheRoomBytes(prefill, assessMemory(prefill).usable) < sequenceBytes(prefill, inputTokens)) {
    throw memoryShortage(prefill, inputTokens)
  }
  const promptWork = prefillWork(prefill, inputTokens, load.cachedTokens)
  const prompt = prefillMs(prefill, promptWork, coefficients)
  const work = prefillWorkMs(prefill, promptWork, coefficients)
  const transfer = transferOf(layout, inputTokens)
  const steps = Math.max(1, (outputTokens - 1) / load.tokensPerStep)
  const context = inputTokens + outputTokens / 2
  const together = Math.max(1, prefillBudgetTokens / (inputTokens - load.cachedTokens))
  const served = (work + (prompt - work) / together) / prefillReplicas
  // A prompt passes its own attention group at the group's speed; only 1/(x·dp) of that holds up the others.
  const own = prompt * prefill.deployment.dp * prefill.deployment.pp - served
  let decoding = Math.min(concurrency, capacity)
  let step = 0
  let residence = 0
  for (let round = 0; round < 12; round += 1) {
    step = decodeStepMs(decode, decoding / decodeReplicas, context, coefficients)
    const elsewhere = coefficients.firstToken + own + transfer.transferMs + step * (steps + 1)
    residence = queueResidence(served, elsewhere, concurrency)
    const next = (concurrency * step * steps) / (residence + elsewhere)
    decoding = (decoding + Math.min(capacity, Math.max(1, next))) / 2
  }
  const withoutWait = coefficients.firstToken + residence + own + transfer.transferMs + step
  // Little's law again: what the decode replicas cannot hold waits for a place.
  const cacheWaitMs = Math.max(0, (concurrency * step * steps) / capacity - withoutWait - step * steps)
  const ttft = withoutWait + cacheWaitMs
  const tpot = step / load.tokensPerStep
  const requestMs = ttft + tpot * Math.max(0, outputTokens - 1)
  const gpus = layoutGpus(layout)
  const perGpu = (1000 * concurrency * outputTokens) / requestMs / gpus
  const reasons = [notCalibrated, ...extrapolations(decode, load, countWeights(shape).active, from)]
  const tpotSpread = spreadOf('tpot', engine, true, from)
  const price = usdPerGpuHour(gpu, options.priceTier ?? 'neocloud')
  const performance = {
    ttftMs: ttft,
    tpotMs: tpot,
    stepMs: step,
    prefillMs: prompt,
    running: Math.min(concurrency, capacity),
    decoding: decoding / decodeReplicas,
    cacheWaitMs,
    decodeMs: step * steps,
  }
  return {
    ttftMs: estimated(ttft, spreadOf('ttft', engine, true, from)),
    tpotMs: estimated(tpot, tpotSpread),
    tokensPerSecondPerGpu: estimated(perGpu, inverse(tpotSpread)),
    tokensPerSecondPerUser: estimated(1000 / tpot, inverse(tpotSpread)),
    joulesPerOutputToken: joules(layout, load, performance, perGpu, from),
    usdPerMillionOutputTokens:
      price === undefined
        ? undefined
        : estimated(usdPerMillionTokens(price.usd, perGpu, options.utilisation ?? 1), tpotSpread),
    priceTier: price?.tier,
    concurrency,
    maxBatch: Math.floor(capacity),
    load,
    performance,
    facts: decode,
    gpus,
    disaggregation: { ...layout, ...transfer, prefillBusy: (concurrency * served) / requestMs },
    extrapolated: [...new Set(reasons)],
  }
}

/** Time at the prefill queue, waiting included, of each of N requests that spend Z elsewhere. All ms. */
export function queueResidence(serviceMs: number, elsewhereMs: number, requests: number): number {
  const slack = serviceMs * requests - elsewhereMs
  return (slack + Math.sqrt(slack ** 2 + 4 * serviceMs * elsewhereMs)) / 2
}

function decodeStepMs(facts: DeploymentFacts, batch: number, context: number, coefficients: Coefficients): number {
  return stepMs(facts, decodeWork(facts, batch, context), batch, coefficients)
}

/** The hand-over of one prompt: its cache leaves and enters over as many links as the narrower side has GPUs for it. */
function transferOf(
  layout: DisaggregatedLayout,
  inputTokens: number,
): Pick<Disaggregation, 'transferBytes' | 'linkGbS' | 'link' | 'transferMs'> {
  const { prefill, decode } = layout
  const { gpu } = decode.deployment
  const holders = ({ deployment }: DeploymentFacts) => deployment.tp * deployment.pp
  const kvHeads = decode.deployment.shape.mixers.find((group) => group.kind === 'gqa')?.kvHeads
  // GPUs with different parts of the cache: a latent cache is copied to each of them, heads beyond their number too.
  const parts = ({ deployment }: DeploymentFacts) => Math.min(deployment.tp, kvHeads ?? 1) * deployment.pp
  const transferBytes = sequenceBytes(prefill, inputTokens) * parts(prefill)
  const within = layoutGpus(layout) <= gpu.scaleUpGpus
  const linkGbS = within ? (gpu.scaleUpGbS ?? 32) : (gpu.scaleOutGbS ?? 25)
  const links = Math.min(holders(prefill), holders(decode))
  return {
    transferBytes,
    linkGbS,
    link: within ? 'scale-up' : 'scale-out',
    transferMs: transferBytes / (links * linkGbS * 1e6),
  }
}

/** GPU joules per output token: all GPUs draw their static share all the time; bytes and operations as elsewhere. */
function joules(
  layout: DisaggregatedLayout,
  load: Prediction['load'],
  performance: Prediction['performance'],
  tokensPerSecondPerGpu: number,
  from: NonNullable<PredictOptions['calibration']>,
): Prediction['joulesPerOutputToken'] {
  const { gpu } = layout.decode.deployment
  const features = energyFeatures(layout.decode, load, performance)
  const energy = calibratedEnergy(gpu, from)
  if (features === undefined || energy === undefined || gpu.tdpW === undefined) return undefined
  const idle = { ...features, staticJoules: gpu.tdpW / tokensPerSecondPerGpu }
  return estimated(joulesPerOutputToken(idle, energy), spreadOf('joules', undefined, true, from))
}
