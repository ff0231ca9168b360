import { TokenmillError } from '../../core/index.ts'
import { nearestNames } from '../../model/index.ts'
import type { Hardware } from './hardware.ts'

/** Figures of a GPU that `--override` may change. */
const paths = [
  'memoryGb',
  'bandwidthTbS',
  'denseTflops.bf16',
  'denseTflops.fp8',
  'denseTflops.fp6',
  'denseTflops.fp4',
  'denseTflops.int8',
  'tdpW',
  'allInW',
  'scaleUpGbS',
  'scaleUpGpus',
  'scaleOutGbS',
  'usdPerHour.hyperscaler',
  'usdPerHour.neocloud',
  'usdPerHour.rental',
] as const

/**
 * The GPU with some figures replaced, each written `name=value`: `bandwidthTbS=4.9`, `usdPerHour.neocloud=2`.
 * Throws `invalid_request` for an unknown figure or a value that is no positive number.
 */
export function overrideHardware(gpu: Hardware, overrides: readonly string[]): Hardware {
  return overrides.reduce(overrideOne, gpu)
}

function overrideOne(gpu: Hardware, override: string): Hardware {
  const [name = '', text = ''] = override.split('=').map((part) => part.trim())
  const value = Number(text)
  if (!(paths as readonly string[]).includes(name)) {
    const near = nearestNames(name, paths)
    throw new TokenmillError(
      'invalid_request',
      `--override ${override}: no figure '${name}'. Nearest: ${near.join(', ')}.`,
      {
        param: 'override',
        available: near,
      },
    )
  }
  if (!(value > 0) || !Number.isFinite(value)) {
    throw new TokenmillError('invalid_request', `--override ${override}: '${text}' is no positive number.`, {
      param: 'override',
    })
  }
  const source = `${gpu.source}; ${name} = ${value} by the user`
  const [field, key = ''] = name.split('.')
  if (field === 'denseTflops') return { ...gpu, denseTflops: { ...gpu.denseTflops, [key]: value }, source }
  if (field === 'usdPerHour') return { ...gpu, usdPerHour: { ...gpu.usdPerHour, [key]: value }, source }
  return { ...gpu, [name]: value, source }
}
