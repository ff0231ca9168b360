import { TokenmillError } from '../../core/index.ts'
import { nearestNames } from '../../model/index.ts'
import rows from './facts/hardware.json' with { type: 'json' }

/** Arithmetic formats that a GPU has units for. */
export type ComputeFormat = 'bf16' | 'fp8' | 'fp6' | 'fp4' | 'int8'

export type PriceTier = 'hyperscaler' | 'neocloud' | 'rental'

/** One accelerator, per GPU. Peaks are dense: figures advertised with 2:4 sparsity are halved. */
export interface Hardware {
  /** As commands and data files name it: `h100_sxm`. */
  readonly id: string
  readonly name: string
  readonly aliases?: readonly string[]
  readonly vendor: string
  /** GPUs of one generation share their calibration. */
  readonly generation: string
  /** 10⁹ bytes. */
  readonly memoryGb: number
  /** 10¹² bytes/s. */
  readonly bandwidthTbS: number
  /** 10¹² operations/s by format; a missing format has no units, and weights stored in it compute in a wider one. */
  readonly denseTflops: Readonly<Partial<Record<ComputeFormat, number>>>
  /** Peak multiplier with 2:4 sparsity; 1 or absent: none. */
  readonly sparsity24?: number
  readonly tdpW?: number
  /** Wall power per GPU of a whole server, cooling excluded. */
  readonly allInW?: number
  /** 10⁹ bytes/s per GPU, one direction, within `scaleUpGpus` GPUs. */
  readonly scaleUpGbS?: number
  readonly scaleUpGpus: number
  /** 10⁹ bytes/s per GPU, one direction, between servers. */
  readonly scaleOutGbS?: number
  readonly usdPerHour?: Readonly<Partial<Record<PriceTier, number>>>
  readonly notes?: string
  readonly source: string
  readonly unverified?: boolean
}

export const hardware: readonly Hardware[] = rows

/** Finds a GPU by id, alias or name. Throws `invalid_request` with the nearest names. */
export function resolveHardware(name: string): Hardware {
  const wanted = plain(name)
  const found = hardware.find((one) => [one.id, one.name, ...(one.aliases ?? [])].some((own) => plain(own) === wanted))
  if (found !== undefined) return found
  const near = nearestNames(
    name,
    hardware.map(({ id }) => id),
  )
  throw new TokenmillError('invalid_request', `GPU '${name}' is not known. Nearest: ${near.join(', ')}.`, {
    param: 'gpu',
    available: near,
  })
}

function plain(name: string): string {
  return name.toLowerCase().replace(/[^a-z0-9]/g, '')
}

/** The peak rate for weights and activations of a format: the format itself, else the next wider one with units. */
export function peakTflops(
  gpu: Hardware,
  format: ComputeFormat,
): { readonly tflops: number; readonly format: ComputeFormat } {
  const wider: Readonly<Record<ComputeFormat, readonly ComputeFormat[]>> = {
    fp4: ['fp4', 'fp8', 'bf16'],
    fp6: ['fp6', 'fp8', 'bf16'],
    fp8: ['fp8', 'bf16'],
    int8: ['int8', 'bf16'],
    bf16: ['bf16'],
  }
  for (const candidate of wider[format]) {
    const tflops = gpu.denseTflops[candidate]
    if (tflops !== undefined) return { tflops, format: candidate }
  }
  throw new TokenmillError(
    'unsupported',
    `The dense BF16 rate of ${gpu.name} is not known (${gpu.source}). Give it with --override.`,
    { param: 'gpu' },
  )
}
