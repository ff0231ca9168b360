import { TokenmillError } from '../core/index.ts'
import { nearestNames } from '../model/index.ts'

/** Engines that the calibration knows. */
export const engines = ['vllm', 'sglang', 'trtllm'] as const

export type EngineName = (typeof engines)[number]

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
