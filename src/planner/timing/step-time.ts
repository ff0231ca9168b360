import type { Coefficients } from './coefficients.ts'
import type { DeploymentFacts } from '../work/deployment-facts.ts'
import type { StepWork } from '../work/step-work.ts'

/**
 * Sharpness of the knee between memory-bound and compute-bound: (read^p + compute^p)^(1/p), ms. The roofline's
 * maximum (Williams, Waterman and Patterson, 2009) is its limit for large p; kernels near the ridge reach neither peak.
 */
const knee = 3

/**
 * A step's time from its work: overlapping reads and arithmetic, then cache, launches, links and host. Coefficients
 * below 1 stand for overlap that the sum does not show; the whole never beats the hardware's peak.
 */
export function stepMs(facts: DeploymentFacts, work: StepWork, batch: number, coefficients: Coefficients): number {
  return Math.max(peakMs(work), summedStepMs(facts, work, batch, coefficients))
}

/** The same without that floor, for the fit: a floor has no slope, so rows that reach it would teach nothing. */
export function summedStepMs(
  facts: DeploymentFacts,
  work: StepWork,
  batch: number,
  coefficients: Coefficients,
): number {
  const { readMs: read, computeMs: compute } = linearTimes(facts, work, coefficients)
  const linear = (read ** knee + compute ** knee) ** (1 / knee)
  const attention = Math.max(coefficients.cacheRead * work.cacheReadMs, work.attentionComputeMs)
  return linear + attention + launchMs(facts, coefficients) + overheadMs(facts, work, batch, coefficients)
}

/** The least that a step can take: all its reads at full bandwidth, or all its arithmetic at full rate, ms. */
export function peakMs(work: StepWork): number {
  const compute = work.denseComputeMs + work.routedComputeMs + work.attentionComputeMs
  return Math.max(work.denseReadMs + work.routedReadMs + work.cacheReadMs, compute)
}

/** Reads and arithmetic of a decode step's linear layers, before they overlap. */
export function linearTimes(
  facts: DeploymentFacts,
  work: StepWork,
  coefficients: Coefficients,
): { readonly readMs: number; readonly computeMs: number } {
  const expand = expansion(facts, coefficients)
  return {
    readMs: coefficients.denseRead * work.denseReadMs + expand * coefficients.routedRead * work.routedReadMs,
    computeMs: coefficients.compute * (work.denseComputeMs + expand * work.routedComputeMs),
  }
}

/** What expanding narrow experts to BF16 costs, as a factor; 1 where nothing is expanded. */
export function expansion(facts: DeploymentFacts, coefficients: Coefficients): number {
  return facts.deployment.precision.weightOnly ? coefficients.expand : 1
}

/** Kernels of one step, were there nothing in them. */
export function launchMs(facts: DeploymentFacts, coefficients: Coefficients): number {
  return coefficients.kernel * facts.kernels + coefficients.moeLayer * facts.moeLayers
}

/** Time of a step that hides behind nothing: links and host. */
export function overheadMs(facts: DeploymentFacts, work: StepWork, batch: number, coefficients: Coefficients): number {
  return (
    coefficients.step +
    coefficients.collective * work.collectives +
    coefficients.transfer * work.transferMs +
    (coefficients.sequence * batch) / facts.deployment.dp
  )
}

/** A prompt's prefill alone on the replica: its work and the launches around it. */
export function prefillMs(facts: DeploymentFacts, work: StepWork, coefficients: Coefficients): number {
  return prefillWorkMs(facts, work, coefficients) + (coefficients.prefillFixed * facts.kernels) / 1000
}

/** The work alone: what a prompt adds to steps whose kernels are launched anyway. */
export function prefillWorkMs(facts: DeploymentFacts, work: StepWork, coefficients: Coefficients): number {
  const expand = expansion(facts, coefficients)
  const compute =
    coefficients.prefillDense * work.denseComputeMs +
    expand * coefficients.prefillRouted * work.routedComputeMs +
    coefficients.prefillAttention * work.attentionComputeMs
  const read = coefficients.denseRead * work.denseReadMs + expand * coefficients.routedRead * work.routedReadMs
  return (compute ** knee + read ** knee) ** (1 / knee) + coefficients.transfer * work.transferMs
}
