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
  if (format.block !== undefined) checkBlocks(shape, parallelism, format.block)
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
    if (group.kind === 'gqa' && group.kvHeads % tp !== 0 && tp % group.kvHeads !== 0) {
      fail(
        'tp',
        `tp is ${tp}, which neither divides the ${group.kvHeads} KV heads of ${shape.name} nor is a multiple of them.`,
      )
    }
    if ((group.kind === 'mla' || group.kind === 'compressed') && tp > group.heads) {
      fail('tp', `tp is ${tp}, more than the ${group.heads} attention heads of ${shape.name}.`)
    }
  }
}

/**
 * Block-quantised matrices are cut between blocks: engines refuse a shard that is no multiple of the block. Whole
 * experts (ep) are not cut.
 */
function checkBlocks(shape: ModelShape, { tp, ep, dp }: Parallelism, block: number): void {
  const check = (part: string, width: number, over: number) => {
    if (width === 0 || (width / over) % block === 0) return
    throw new TokenmillError(
      'invalid_request',
      `${part} of ${shape.name} are ${width} wide; over ${over} GPUs that is ${width / over} each, no multiple of the format's blocks of ${block}. Fewer GPUs, whole experts (ep) or another precision would do.`,
      { param: 'tp' },
    )
  }
  for (const group of shape.ffns) {
    if (group.kind === 'dense') check('Feed-forward layers', group.width, tp)
    else {
      check('Shared experts', group.sharedWidth, tp)
      if (ep === 1) check('Experts', group.width, tp * dp)
    }
  }
  for (const group of shape.mixers) {
    if (group.kind === 'gqa') check('Attention heads', group.heads * group.valueDim, tp)
  }
}

/** Copies of each KV head over the GPUs of an attention group: more GPUs than heads keep some twice. 1: none. */
export function kvHeadCopies({ shape, tp }: Pick<Deployment, 'shape' | 'tp'>): number {
  const copies = shape.mixers.map((group) => {
    if (group.kind === 'gqa') return Math.max(1, tp / group.kvHeads)
    return group.kind === 'mla' || group.kind === 'compressed' ? tp : 1
  })
  return Math.max(1, ...copies)
}
