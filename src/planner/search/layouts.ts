import type { ModelShape } from '../../model/index.ts'
import type { Parallelism } from '../work/deployment.ts'
import type { Hardware } from '../work/hardware.ts'

/** Tensor parallel within one server; for experts, also whole ones spread over the GPUs, with and without parallel attention groups. */
export function layouts(shape: ModelShape, gpu: Hardware, most: number): readonly Parallelism[] {
  const sizes = [1, 2, 4, 8, 16, 32, 64].filter((size) => size <= most && size <= Math.max(1, gpu.scaleUpGpus))
  const moe = shape.ffns.find((group) => group.kind === 'moe')
  const heads = shape.mixers.find((group) => group.kind === 'gqa' || group.kind === 'mla')?.heads ?? 1
  return sizes.flatMap((size) => {
    const found: Parallelism[] = []
    if (heads % size === 0) found.push({ tp: size, pp: 1, ep: 1, dp: 1 })
    if (moe?.kind === 'moe' && size > 1 && moe.experts % size === 0) {
      if (heads % size === 0) found.push({ tp: size, pp: 1, ep: size, dp: 1 })
      found.push({ tp: 1, pp: 1, ep: size, dp: size })
    }
    return found
  })
}
