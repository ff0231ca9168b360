import type { StepBatch, StepModel } from '../../inference/index.ts'
import { calibratedCoefficients, calibratedEnergy, calibration, type Calibration } from './calibration.ts'
import { joulesPerStep } from './energy.ts'
import { prefillMs, prefillWorkMs, stepMs } from './step-time.ts'
import type { DeploymentFacts } from '../work/deployment-facts.ts'
import { decodeWork, prefillWork } from '../work/step-work.ts'

/**
 * The steps of a deployment, as the planner predicts them: what a simulation of a fleet runs on where nobody has measured it.
 *
 *   ms = decode step of the batch + interference · work of the prompts' chunks        some sequence decodes
 *   ms = the chunks' prefill, launches included, + a step for the token after it      none does
 *
 * The same terms as `performanceOf`, so that a closed loop simulated on it takes the times that `predict` gives.
 */
export function plannedStepModel(facts: DeploymentFacts, from: Calibration = calibration): StepModel {
  const { engine, gpu } = facts.deployment
  const coefficients = calibratedCoefficients(engine, gpu, from)
  const energy = calibratedEnergy(gpu, from)
  const works = ({ decodeSequences, contextTokens, prefillTokens, prefillPairs }: StepBatch) => {
    const sequences = Math.max(1, decodeSequences)
    const decode = decodeWork(facts, sequences, contextTokens / sequences)
    if (prefillTokens === 0) return { sequences, decode, prefill: undefined }
    const cached = Math.max(0, prefillPairs / prefillTokens - prefillTokens / 2)
    return { sequences, decode, prefill: prefillWork(facts, cached + prefillTokens, cached) }
  }
  const timeOf = (batch: StepBatch) => {
    const { sequences, decode, prefill } = works(batch)
    const decodeMs = stepMs(facts, decode, sequences, coefficients)
    if (prefill === undefined) return decodeMs
    if (batch.decodeSequences === 0) return decodeMs + prefillMs(facts, prefill, coefficients)
    return decodeMs + coefficients.interference * prefillWorkMs(facts, prefill, coefficients)
  }
  if (energy === undefined || gpu.tdpW === undefined) return { stepMs: timeOf }
  return {
    stepMs: timeOf,
    stepJoules(batch) {
      const { sequences, decode, prefill } = works(batch)
      const work = prefill === undefined ? [decode] : [decode, prefill]
      return joulesPerStep(facts, work, { ms: timeOf(batch), sequences }, energy) ?? 0
    },
  }
}
