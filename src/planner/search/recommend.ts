import { TokenmillError } from '../../core/index.ts'
import type { ModelShape } from '../../model/index.ts'
import { usdPerGpuHour, usdPerMillionTokens } from '../timing/cost.ts'
import { describeDeployment } from '../timing/describe.ts'
import { predict, type Prediction } from '../timing/predict.ts'
import { DeploymentFactsCache } from '../work/deployment-facts.ts'
import { deploy, type Deployment, type Parallelism } from '../work/deployment.ts'
import { checkEngine, type EngineProfile, engineProfiles, runsOn } from '../work/engine-profiles.ts'
import type { Hardware } from '../work/hardware.ts'
import type { NumberFormat } from '../work/precision.ts'
import type { Assumptions, Candidates, Choice, Demand, Recommendation, Rejected } from './choice.ts'
import { disaggregatedSweeps } from './disaggregated-search.ts'
import { layouts } from './layouts.ts'
import { meets, missOf, rejectionOf, risksOf } from './objectives.ts'

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
              const best = sweep.findLast((point) => meets(point, demand, assumptions.risk))
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
    const meeting = sweep.filter((point) => meets(point, demand, assumptions.risk))
    const best = meeting.at(-1)
    if (best === undefined) return { deployment: name, ...missOf(sweep[0], demand, assumptions.risk), sweep }
    return sized(deployment, best, sweep, demand, assumptions)
  } catch (error) {
    if (!(error instanceof TokenmillError)) throw error
    return { deployment: name, ...rejectionOf(error), sweep }
  }
}

function sized(
  deployment: Deployment,
  best: Prediction,
  sweep: readonly Prediction[],
  demand: Demand,
  assumptions: Assumptions,
): Choice {
  const rate = best.tokensPerSecondPerGpu
  const perReplica = (assumptions.risk === 'safe' ? rate.low : rate.value) * best.gpus
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
    risks: risksOf(best, demand),
  }
}
