import { TokenmillError } from '../../core/index.ts'
import type { ModelShape } from '../../model/index.ts'
import { disaggregatedSweeps } from './disaggregated-search.ts'
import { usdPerGpuHour, usdPerMillionTokens } from '../timing/cost.ts'
import { describeDeployment } from '../timing/describe.ts'
import { predict, type Prediction } from '../timing/predict.ts'
import { DeploymentFactsCache } from '../work/deployment-facts.ts'
import { deploy, type Deployment, type Parallelism } from '../work/deployment.ts'
import { checkEngine, type EngineProfile, engineProfiles, runsOn } from '../work/engine-profiles.ts'
import type { Hardware, PriceTier } from '../work/hardware.ts'
import type { NumberFormat } from '../work/precision.ts'
import { layouts } from './layouts.ts'

/** What the fleet must do. */
export interface Demand {
  readonly inputTokens: number
  readonly outputTokens: number
  /** Requests per second over the fleet; or `users` streams that never pause. */
  readonly ratePerSecond?: number
  readonly users?: number
  readonly ttftMs?: number
  readonly tpotMs?: number
}

export interface Candidates {
  readonly shape: ModelShape
  readonly gpus: readonly Hardware[]
  readonly engines?: readonly EngineProfile[]
  readonly formats: readonly NumberFormat[]
  /** Leave out formats that a GPU has no units for. */
  readonly nativeFormatsOnly?: boolean
  readonly maxGpusPerReplica: number
  /** Consider prefill and decode on GPUs of their own too. */
  readonly disaggregated?: boolean
}

export interface Assumptions {
  readonly priceTier: PriceTier
  readonly utilisation: number
  readonly prefixHit: number
  readonly tokensPerStep: number
}

/** One way to serve: its replica, how hard it may be driven, and what the fleet then costs. */
export interface Choice {
  readonly deployment: Deployment
  readonly prediction: Prediction
  /** Every point that was tried, for the Pareto plot. */
  readonly sweep: readonly Prediction[]
  readonly replicas: number
  readonly gpus: number
  /** Requests per second that one replica serves within the objectives. */
  readonly requestsPerSecond: number
  readonly usdPerHour: number | undefined
  readonly usdPerMillionOutput: number | undefined
  readonly usdPerMillionInput: number | undefined
  readonly usdPerMillionTotal: number | undefined
  /** The unfavourable end of the interval meets the objectives too. */
  readonly safe: boolean
}

export interface Rejected {
  readonly deployment: string
  readonly reason: string
  /** The points that fit, if any: they belong in the plot. */
  readonly sweep: readonly Prediction[]
}

export interface Recommendation {
  /** Cheapest first. */
  readonly choices: readonly Choice[]
  readonly rejected: readonly Rejected[]
}

const concurrencies = [1, 2, 4, 8, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048]

/** Every sensible configuration, the cheapest that meets the demand first, and why the others fail. */
export function recommend(candidates: Candidates, demand: Demand, assumptions: Assumptions): Recommendation {
  const cache = new DeploymentFactsCache()
  const choices: Choice[] = []
  const rejected: Rejected[] = []
  const asked = candidates.engines ?? engineProfiles
  const [firstGpu] = candidates.gpus
  // Where no pair can run, the reason is the answer; where some can, the others are no candidates.
  if (firstGpu !== undefined && !candidates.gpus.some((gpu) => asked.some((one) => runsOn(one, gpu)))) {
    for (const one of asked) checkEngine(one, firstGpu)
  }
  for (const gpu of candidates.gpus) {
    for (const engine of asked.filter((one) => runsOn(one, gpu))) {
      for (const format of candidates.formats) {
        if (candidates.nativeFormatsOnly === true && gpu.denseTflops[format.compute] === undefined) continue
        for (const parallelism of layouts(candidates.shape, gpu, candidates.maxGpusPerReplica)) {
          const outcome = assess(candidates.shape, gpu, engine, format, parallelism, demand, assumptions, cache)
          if ('reason' in outcome) rejected.push(outcome)
          else choices.push(outcome)
        }
        if (candidates.disaggregated === true) {
          const units = disaggregatedSweeps(
            layouts(candidates.shape, gpu, candidates.maxGpusPerReplica).flatMap((parallelism) => {
              const deployment = deployed(candidates.shape, gpu, engine, format, parallelism)
              return deployment === undefined ? [] : [cache.of(deployment)]
            }),
            demand,
            assumptions,
          )
          choices.push(
            ...units.flatMap((sweep) => {
              const best = sweep.findLast((point) => meets(point, demand))
              return best === undefined ? [] : [sized(best.facts.deployment, best, sweep, demand, assumptions)]
            }),
          )
        }
      }
    }
  }
  // At equal cost what was measured goes before what was not.
  const unknown = ({ prediction }: Choice) => prediction.extrapolated.length
  choices.sort(
    (a, b) =>
      costRank(a) - costRank(b) ||
      a.gpus - b.gpus ||
      unknown(a) - unknown(b) ||
      b.requestsPerSecond - a.requestsPerSecond,
  )
  return { choices, rejected }
}

/** A deployment, or nothing where parallelism contradicts the model. */
function deployed(
  shape: ModelShape,
  gpu: Hardware,
  engine: EngineProfile,
  format: NumberFormat,
  parallelism: Parallelism,
): Deployment | undefined {
  try {
    return deploy(shape, gpu, engine, format, parallelism)
  } catch (error) {
    if (error instanceof TokenmillError) return undefined
    throw error
  }
}

/** Configurations without a price go by GPU count, after those with one. */
function costRank(choice: Choice): number {
  return choice.usdPerHour ?? 1e9 + choice.gpus
}

function assess(
  shape: ModelShape,
  gpu: Hardware,
  engine: EngineProfile,
  format: NumberFormat,
  parallelism: Parallelism,
  demand: Demand,
  assumptions: Assumptions,
  cache: DeploymentFactsCache,
): Choice | Rejected {
  const name = describeDeployment(gpu, engine, format, parallelism)
  const sweep: Prediction[] = []
  try {
    const deployment = deploy(shape, gpu, engine, format, parallelism)
    for (const concurrency of concurrencies) {
      const point = predict(
        deployment,
        {
          inputTokens: demand.inputTokens,
          outputTokens: demand.outputTokens,
          concurrency,
          cachedTokens: Math.floor(assumptions.prefixHit * demand.inputTokens),
          tokensPerStep: assumptions.tokensPerStep,
        },
        { priceTier: assumptions.priceTier },
        cache,
      )
      if (concurrency > 1 && concurrency > point.maxBatch) break
      sweep.push(point)
    }
    const meeting = sweep.filter((point) => meets(point, demand))
    const best = meeting.at(-1)
    if (best === undefined) return { deployment: name, reason: missReason(sweep[0], demand), sweep }
    return sized(deployment, best, sweep, demand, assumptions)
  } catch (error) {
    if (!(error instanceof TokenmillError)) throw error
    return { deployment: name, reason: error.message, sweep }
  }
}

function meets(point: Prediction, demand: Demand): boolean {
  return point.ttftMs.value <= (demand.ttftMs ?? Infinity) && point.tpotMs.value <= (demand.tpotMs ?? Infinity)
}

function missReason(alone: Prediction | undefined, demand: Demand): string {
  if (alone === undefined) return 'not one request fits.'
  const misses: string[] = []
  const { ttftMs, tpotMs } = alone
  if (ttftMs.value > (demand.ttftMs ?? Infinity)) {
    misses.push(`TTFT is ${ttftMs.value.toFixed(0)} ms, the objective ${demand.ttftMs} ms`)
  }
  if (tpotMs.value > (demand.tpotMs ?? Infinity)) {
    misses.push(`TPOT is ${tpotMs.value.toFixed(1)} ms, the objective ${demand.tpotMs} ms`)
  }
  return `Even one request alone misses: ${misses.join('; ')}.`
}

function sized(
  deployment: Deployment,
  best: Prediction,
  sweep: readonly Prediction[],
  demand: Demand,
  assumptions: Assumptions,
): Choice {
  const perReplica = best.tokensPerSecondPerGpu.value * best.gpus
  const requestsPerSecond = perReplica / demand.outputTokens
  const needed =
    demand.ratePerSecond === undefined
      ? (demand.users ?? 1) / best.concurrency
      : demand.ratePerSecond / (requestsPerSecond * assumptions.utilisation)
  const replicas = Math.max(1, Math.ceil(needed - 1e-9))
  const gpus = replicas * best.gpus
  const price = usdPerGpuHour(deployment.gpu, assumptions.priceTier)
  const served =
    demand.ratePerSecond ??
    Math.min(replicas * requestsPerSecond, ((demand.users ?? 1) * requestsPerSecond) / best.concurrency)
  const costOf = (tokensPerRequest: number) =>
    price === undefined ? undefined : usdPerMillionTokens(price.usd, (served * tokensPerRequest) / gpus, 1)
  return {
    deployment,
    prediction: best,
    sweep,
    replicas,
    gpus,
    requestsPerSecond,
    usdPerHour: price === undefined ? undefined : price.usd * gpus,
    usdPerMillionOutput: costOf(demand.outputTokens),
    usdPerMillionInput: costOf(demand.inputTokens),
    usdPerMillionTotal: costOf(demand.inputTokens + demand.outputTokens),
    safe: best.ttftMs.high <= (demand.ttftMs ?? Infinity) && best.tpotMs.high <= (demand.tpotMs ?? Infinity),
  }
}
