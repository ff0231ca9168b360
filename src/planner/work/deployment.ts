import { TokenmillError } from '../../core/index.ts'
import type { ModelShape } from '../../model/index.ts'
import { checkEngine, type EngineProfile } from './engine-profiles.ts'
import type { Hardware } from './hardware.ts'
import { defaultKvBytes, type NumberFormat, planPrecision, type PrecisionPlan } from './precision.ts'

/** One replica: a model in a precision, spread over tp·pp·dp GPUs. */
export interface Deployment {
  readonly shape: ModelShape
  readonly gpu: Hardware
  readonly engine: EngineProfile
  readonly precision: PrecisionPlan
  /** Tensor parallel GPUs of one attention group. */
  readonly tp: number
  /** Pipeline stages. */
  readonly pp: number
  /** GPUs over which whole experts are spread; 1: every expert is sliced over all. */
  readonly ep: number
  /** Attention groups that hold different requests (data-parallel attention). */
  readonly dp: number
}

export function gpuCount(deployment: Pick<Deployment, 'tp' | 'pp' | 'dp'>): number {
  return deployment.tp * deployment.pp * deployment.dp
}

/** How a replica is spread over GPUs, as people write it. */
export interface Parallelism {
  readonly tp: number
  readonly pp: number
  readonly ep: number
  readonly dp: number
}

/**
 * Puts a deployment together. Throws `invalid_request` for parallelism that contradicts itself or the model:
 * experts over more GPUs than there are, experts of a dense model, more stages than layers, heads that do not divide.
 */
export function deploy(
  shape: ModelShape,
  gpu: Hardware,
  engine: EngineProfile,
  format: NumberFormat,
  parallelism: Parallelism,
  kvBytes: number = defaultKvBytes(gpu, format, shape),
): Deployment {
  const { tp, pp, ep, dp } = parallelism
  checkEngine(engine, gpu)
  checkParallelism(shape, { tp, pp, ep, dp })
  return { shape, gpu, engine, precision: planPrecision(shape, gpu, format, kvBytes), tp, pp, ep, dp }
}

function checkParallelism(shape: ModelShape, parallelism: Parallelism): void {
  const { tp, pp, ep } = parallelism
  const fail = (param: string, message: string): never => {
    throw new TokenmillError('invalid_request', message, { param })
  }
  for (const [name, value] of Object.entries(parallelism)) {
    if (!Number.isInteger(value) || value < 1) fail(name, `${name} is ${value}; it must be a whole number from 1.`)
  }
  const experts = Math.max(0, ...shape.ffns.map((group) => (group.kind === 'moe' ? group.experts : 0)))
  const gpus = gpuCount(parallelism) / pp
  if (ep > 1 && experts === 0) fail('ep', `ep is ${ep}, but ${shape.name} has no experts to spread: use ep 1.`)
  if (ep > gpus) fail('ep', `ep is ${ep}, but tp × dp gives a stage only ${gpus} GPUs: ep divides these.`)
  if (gpus % ep !== 0) fail('ep', `ep is ${ep}, which does not divide the ${gpus} GPUs of a stage (tp × dp).`)
  if (ep > experts && experts > 0) fail('ep', `ep is ${ep}, but ${shape.name} has ${experts} experts.`)
  if (pp > shape.layers) fail('pp', `pp is ${pp}, but ${shape.name} has ${shape.layers} layers.`)
  for (const group of shape.mixers) {
    if (group.kind === 'gqa' && group.heads % tp !== 0 && tp % group.heads !== 0) {
      fail('tp', `tp is ${tp}, which does not divide the ${group.heads} attention heads of ${shape.name}.`)
    }
    if (group.kind === 'mla' && tp > group.heads) {
      fail('tp', `tp is ${tp}, more than the ${group.heads} attention heads of ${shape.name}.`)
    }
  }
}
