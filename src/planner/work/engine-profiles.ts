import { TokenmillError } from '../../core/index.ts'
import { nearestNames } from '../../model/index.ts'
import type { Hardware } from './hardware.ts'

/** What an engine does with a GPU's memory and its requests, as far as a plan depends on it. */
export interface EngineProfile {
  /** As commands, data files and the calibration name it. */
  readonly id: string
  readonly name: string
  readonly aliases: readonly string[]
  /** Vendors whose GPUs it has kernels for; undefined: all. */
  readonly vendors: readonly string[] | undefined
  /** Share of an answer for which cache is reserved on average: 1 from the start, 0.5 where it grows with the answer. */
  readonly reservedOutputShare: number
  /** Windowed layers keep their window alone; else one pool holds all layers whole. */
  readonly windowedCache: boolean
  /** Most sequences that it batches per attention group. */
  readonly maxBatch: number
}

/**
 * vLLM and SGLang take cache as a sequence grows, and their published runs raise the batch limit to the load.
 * TensorRT-LLM reserves the whole answer (guaranteed no eviction), has one pool for all layers unless told the
 * windows of each, and a default maximum batch of 2,048.
 */
export const engineProfiles: readonly EngineProfile[] = [
  {
    id: 'vllm',
    name: 'vLLM',
    aliases: [],
    vendors: undefined,
    reservedOutputShare: 0.5,
    windowedCache: true,
    maxBatch: 4096,
  },
  {
    id: 'sglang',
    name: 'SGLang',
    aliases: [],
    vendors: undefined,
    reservedOutputShare: 0.5,
    windowedCache: true,
    maxBatch: 4096,
  },
  {
    id: 'trtllm',
    name: 'TensorRT-LLM',
    aliases: ['trt', 'tensorrtllm', 'tensorrt'],
    vendors: ['nvidia'],
    reservedOutputShare: 1,
    windowedCache: false,
    maxBatch: 2048,
  },
]

/** Refuses a GPU that an engine has no kernels for. Throws `invalid_request`. */
export function checkEngine(engine: EngineProfile, gpu: Hardware): void {
  if (runsOn(engine, gpu)) return
  const others = engineProfiles.filter((one) => runsOn(one, gpu)).map(({ id }) => id)
  throw new TokenmillError('invalid_request', `${engine.name} does not run on ${gpu.id}: use ${others.join(' or ')}.`, {
    param: 'engine',
  })
}

/** Whether an engine has kernels for a GPU. */
export function runsOn(engine: EngineProfile, gpu: Hardware): boolean {
  return engine.vendors === undefined || engine.vendors.includes(gpu.vendor)
}

/** Finds an engine by name or common alias. Throws `invalid_request` with the nearest names. */
export function resolveEngine(name: string): EngineProfile {
  const wanted = name.toLowerCase().replace(/[^a-z]/g, '')
  const found = engineProfiles.find(({ id, aliases }) => id === wanted || aliases.includes(wanted))
  if (found !== undefined) return found
  const near = nearestNames(
    name,
    engineProfiles.map(({ id }) => id),
  )
  throw new TokenmillError('invalid_request', `Engine '${name}' is not known. Nearest: ${near.join(', ')}.`, {
    param: 'engine',
    available: near,
  })
}
