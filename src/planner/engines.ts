import { TokenmillError } from '../core/index.ts'
import { nearestNames } from '../model/index.ts'
import type { Hardware } from './hardware.ts'

/** Engines that the calibration knows. */
export const engines = ['vllm', 'sglang', 'trtllm'] as const

export type EngineName = (typeof engines)[number]

/** Refuses a GPU that an engine has no kernels for: TensorRT-LLM is NVIDIA's. Throws `invalid_request`. */
export function checkEngine(engine: string, gpu: Hardware): void {
  if (runsOn(engine, gpu)) return
  throw new TokenmillError('invalid_request', `TensorRT-LLM does not run on ${gpu.id}: use vllm or sglang.`, {
    param: 'engine',
  })
}

/** Whether an engine has kernels for a GPU. */
export function runsOn(engine: string, gpu: Hardware): boolean {
  return engine !== 'trtllm' || gpu.vendor === 'nvidia'
}

/** Finds an engine by name or common alias. Throws `invalid_request` with the nearest names. */
export function resolveEngine(name: string): EngineName {
  const wanted = name.toLowerCase().replace(/[^a-z]/g, '')
  const aliases: Readonly<Record<string, EngineName>> = { trt: 'trtllm', tensorrtllm: 'trtllm', tensorrt: 'trtllm' }
  const found = engines.find((engine) => engine === wanted) ?? aliases[wanted]
  if (found !== undefined) return found
  const near = nearestNames(name, engines)
  throw new TokenmillError('invalid_request', `Engine '${name}' is not known. Nearest: ${near.join(', ')}.`, {
    param: 'engine',
    available: near,
  })
}
