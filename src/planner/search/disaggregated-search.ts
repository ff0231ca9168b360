import { TokenmillError } from '../../core/index.ts'
import { calibratedCoefficients } from '../timing/calibration.ts'
import { predictDisaggregated } from '../timing/disaggregated.ts'
import type { Prediction } from '../timing/predict.ts'
import { prefillMs, stepMs } from '../timing/step-time.ts'
import type { DeploymentFacts } from '../work/deployment-facts.ts'
import type { DisaggregatedLayout } from '../work/disaggregated-layout.ts'
import { decodeWork, prefillWork } from '../work/step-work.ts'

interface Wanted {
  readonly inputTokens: number
  readonly outputTokens: number
  readonly ttftMs?: number
  readonly tpotMs?: number
}

interface Given {
  readonly priceTier: 'hyperscaler' | 'neocloud' | 'rental'
  readonly prefixHit: number
  readonly tokensPerStep: number
}

/** Requests in flight per decode replica that are tried. */
const loads = [1, 2, 4, 8, 16, 32, 64, 96, 128, 192, 256, 384, 512, 768, 1024]

/** Prefill replicas are planned to be busy for so much of their time: beyond it, queues in front of them grow fast. */
const busyShare = 0.7

/** Largest number of replicas on either side of one unit. */
const mostReplicas = 4

/**
 * Units of prefill and decode replicas worth looking at, each under rising load. For each pair of layouts the
 * number of replicas on either side follows from the flow: a decode replica at the fullest batch within the TPOT
 * objective takes up so many prompts per second, and prefill replicas must deliver them.
 */
export function disaggregatedSweeps(
  sides: readonly DeploymentFacts[],
  wanted: Wanted,
  given: Given,
): readonly (readonly Prediction[])[] {
  const sweeps: (readonly Prediction[])[] = []
  for (const decode of sides) {
    const flow = fullestFlow(decode, wanted, given)
    if (flow === undefined) continue
    for (const prefill of sides) {
      // Beyond a server on either side lies what no coefficient has seen.
      const ratio = (flow * promptMs(prefill, wanted, given)) / 1000 / busyShare
      for (const [prefillReplicas, decodeReplicas] of ratios(ratio)) {
        const sweep = sweepOf({ prefill, prefillReplicas, decode, decodeReplicas }, wanted, given)
        if (sweep.length > 0) sweeps.push(sweep)
      }
    }
  }
  return sweeps
}

/** Small whole numbers of prefill and decode replicas in about the given ratio; none where it is out of reach. */
function ratios(prefillPerDecode: number): readonly (readonly [number, number])[] {
  if (prefillPerDecode > mostReplicas) return []
  if (prefillPerDecode >= 1) return [[Math.ceil(prefillPerDecode), 1]]
  return [[1, Math.max(1, Math.min(mostReplicas, Math.floor(1 / prefillPerDecode)))]]
}

/** Prompts per second that one decode replica takes up at its fullest batch within the objective. */
function fullestFlow(facts: DeploymentFacts, wanted: Wanted, given: Given): number | undefined {
  const { engine, gpu } = facts.deployment
  const coefficients = calibratedCoefficients(engine, gpu)
  const context = wanted.inputTokens + wanted.outputTokens / 2
  const steps = Math.max(1, (wanted.outputTokens - 1) / given.tokensPerStep)
  let flow: number | undefined
  for (const batch of loads) {
    const step = stepMs(facts, decodeWork(facts, batch, context), batch, coefficients)
    if (step / given.tokensPerStep > (wanted.tpotMs ?? Infinity)) break
    flow = (1000 * batch) / (step * steps)
  }
  return flow
}

function promptMs(facts: DeploymentFacts, wanted: Wanted, given: Given): number {
  const { engine, gpu } = facts.deployment
  const cached = Math.floor(given.prefixHit * wanted.inputTokens)
  const work = prefillWork(facts, wanted.inputTokens, cached)
  return prefillMs(facts, work, calibratedCoefficients(engine, gpu))
}

/** Predictions under rising load until the objectives are missed or memory is full. */
function sweepOf(layout: DisaggregatedLayout, wanted: Wanted, given: Given): readonly Prediction[] {
  const sweep: Prediction[] = []
  try {
    for (const load of loads) {
      const point = predictDisaggregated(
        layout,
        {
          inputTokens: wanted.inputTokens,
          outputTokens: wanted.outputTokens,
          concurrency: load * layout.decodeReplicas,
          cachedTokens: Math.floor(given.prefixHit * wanted.inputTokens),
          tokensPerStep: given.tokensPerStep,
        },
        { priceTier: given.priceTier },
      )
      if (load > 1 && point.concurrency > point.maxBatch) break
      sweep.push(point)
      if (point.tpotMs.value > (wanted.tpotMs ?? Infinity) || point.ttftMs.value > (wanted.ttftMs ?? Infinity)) break
    }
  } catch (error) {
    if (!(error instanceof TokenmillError)) throw error
  }
  return sweep
}
