import type { Prediction } from './predict.ts'
import type { Parallelism } from '../work/deployment.ts'
import type { EngineProfile } from '../work/engine-profiles.ts'
import type { Hardware } from '../work/hardware.ts'
import type { NumberFormat } from '../work/precision.ts'

/** `vllm fp8 TP4 EP4 on h100_sxm` */
export function describeDeployment(
  gpu: Hardware,
  engine: EngineProfile,
  format: NumberFormat,
  parallelism: Parallelism,
): string {
  return `${engine.id} ${format.id} ${describeParallelism(parallelism)} on ${gpu.id}`
}

/** The same, and `vllm fp8 2P(TP4)+1D(TP8) on h100_sxm` where prefill has GPUs of its own. */
export function describePrediction({ facts, disaggregation }: Prediction): string {
  const { gpu, engine, precision } = facts.deployment
  if (disaggregation === undefined) return describeDeployment(gpu, engine, precision.format, facts.deployment)
  const { prefill, prefillReplicas, decode, decodeReplicas } = disaggregation
  const side = (count: number, letter: string, parallelism: Parallelism) =>
    `${count}${letter}(${describeParallelism(parallelism)})`
  const sides = `${side(prefillReplicas, 'P', prefill.deployment)}+${side(decodeReplicas, 'D', decode.deployment)}`
  return `${engine.id} ${precision.format.id} ${sides} on ${gpu.id}`
}

/** `TP4 EP4` */
export function describeParallelism({ tp, pp, ep, dp }: Parallelism): string {
  const parts = [`TP${tp}`]
  if (pp > 1) parts.push(`PP${pp}`)
  if (ep > 1) parts.push(`EP${ep}`)
  if (dp > 1) parts.push(`DP${dp}`)
  return parts.join(' ')
}
