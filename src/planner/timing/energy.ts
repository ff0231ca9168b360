import type { Load, Performance } from './closed-loop.ts'
import type { DeploymentFacts } from '../work/deployment-facts.ts'
import { decodeWork, prefillWork, type StepWork } from '../work/step-work.ts'

/**
 * Where a GPU's joules go. Fitted end to end on ML.ENERGY's measured joules per token (vLLM on H100 and B200, GPU
 * power alone), over times that the performance model predicts; so they also carry what ML.ENERGY's engine version
 * takes longer. GPUs of other generations take the nearest known figures and are flagged as extrapolated.
 */
export interface EnergyCoefficients {
  /** Share of TDP drawn while a step runs, whatever is computed. */
  readonly staticShare: number
  /** Milliseconds at TDP that a step takes beyond its predicted time. */
  readonly stepMs: number
  /** Milliseconds at TDP that each sequence of a step takes beyond that. */
  readonly sequenceMs: number
  /** Joules per byte read from memory. */
  readonly joulesPerByte: number
  /** Joules per BF16 operation; a narrow format's operation counts by the share of the units' time that it takes. */
  readonly joulesPerFlop: number
}

/** Joules per output token by cause, before the coefficients: TDP-joules, bytes and operations. */
export interface EnergyFeatures {
  readonly staticJoules: number
  readonly stepJoulesPerMs: number
  readonly sequenceJoulesPerMs: number
  readonly bytes: number
  readonly flops: number
}

/** Undefined where the GPU's design power is not known. */
export function energyFeatures(
  facts: DeploymentFacts,
  load: Load,
  performance: Performance,
): EnergyFeatures | undefined {
  const tdp = facts.deployment.gpu.tdpW
  if (tdp === undefined) return undefined
  const step = amounts(facts, decodeWork(facts, performance.decoding, load.inputTokens + load.outputTokens / 2))
  const prefill = amounts(facts, prefillWork(facts, load.inputTokens, load.cachedTokens))
  const tokens = performance.decoding * load.tokensPerStep
  const watts = tdp * facts.gpus
  // A request's own prefill holds the GPUs too; with few output tokens it is most of the time.
  const heldMs = performance.decodeMs + (load.outputTokens > 1 ? performance.prefillMs : 0)
  return {
    staticJoules: (watts * heldMs) / 1000 / load.outputTokens / performance.running,
    stepJoulesPerMs: watts / 1000 / tokens,
    // Attention groups pass their sequences side by side.
    sequenceJoulesPerMs: watts / 1000 / load.tokensPerStep / facts.deployment.dp,
    bytes: step.bytes / tokens + prefill.bytes / load.outputTokens / Math.max(1, performance.running / 8),
    flops: step.flops / tokens + prefill.flops / load.outputTokens,
  }
}

/** Joules of all GPUs per output token of a closed loop. */
export function joulesPerOutputToken(features: EnergyFeatures, energy: EnergyCoefficients): number {
  return (
    energy.staticShare * features.staticJoules +
    energy.stepMs * features.stepJoulesPerMs +
    energy.sequenceMs * features.sequenceJoulesPerMs +
    energy.joulesPerByte * features.bytes +
    energy.joulesPerFlop * features.flops
  )
}

/** Joules of all GPUs for one step that takes `ms` and passes `sequences`; undefined where the GPU's design power is not known. */
export function joulesPerStep(
  facts: DeploymentFacts,
  work: readonly StepWork[],
  { ms, sequences }: { readonly ms: number; readonly sequences: number },
  energy: EnergyCoefficients,
): number | undefined {
  const tdp = facts.deployment.gpu.tdpW
  if (tdp === undefined) return undefined
  const atTdpMs = energy.staticShare * ms + energy.stepMs + (energy.sequenceMs * sequences) / facts.deployment.dp
  const moved = work.map((each) => amounts(facts, each))
  const bytes = moved.reduce((sum, each) => sum + each.bytes, 0)
  const flops = moved.reduce((sum, each) => sum + each.flops, 0)
  return (tdp * facts.gpus * atTdpMs) / 1000 + energy.joulesPerByte * bytes + energy.joulesPerFlop * flops
}

/** Bytes and BF16-equivalent operations of a piece of work over all GPUs, from its times at peak. */
function amounts(facts: DeploymentFacts, work: StepWork): { readonly bytes: number; readonly flops: number } {
  const { gpu } = facts.deployment
  const readMs = work.denseReadMs + work.routedReadMs + work.cacheReadMs
  const computeMs = work.denseComputeMs + work.routedComputeMs + work.attentionComputeMs
  return {
    bytes: readMs * gpu.bandwidthTbS * 1e9 * facts.gpus,
    flops: computeMs * (gpu.denseTflops.bf16 ?? 0) * 1e9 * facts.gpus,
  }
}
