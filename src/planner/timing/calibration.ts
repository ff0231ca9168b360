import type { MixerGroup } from '../../model/index.ts'
import stored from './calibration.json' with { type: 'json' }
import { coefficientsOf, type Deviations } from './coefficient-levels.ts'
import type { Coefficients } from './coefficients.ts'
import type { EnergyCoefficients } from './energy.ts'
import { priors } from './priors.ts'
import type { DeploymentFacts } from '../work/deployment-facts.ts'
import type { EngineProfile } from '../work/engine-profiles.ts'
import type { Hardware } from '../work/hardware.ts'

/** Factors by which the truth may lie below and above a prediction, 8 times in 10. */
export interface Spread {
  readonly low: number
  readonly high: number
}

/** Quantities whose spread is known. */
export type SpreadQuantity = 'tpot' | 'ttft' | 'throughput' | 'joules'

/** What `npm run plan:fit` stores: few numbers, where they come from, and how wrong they are. */
export interface Calibration {
  readonly version: number
  /** The extracts that it rests on, by SHA-256. */
  readonly inputs: Readonly<Record<string, string>>
  readonly rows: number
  readonly deviations: Deviations
  /** Offline throughput over the closed-loop figure, by GPU generation: ramp and tail of a finite batch. */
  readonly offline: Readonly<Record<string, number>>
  readonly energy: Readonly<Record<string, EnergyCoefficients>>
  /** By quantity, then engine (`all` for unknown pairs): the 80 % interval, from held-out errors. */
  readonly spreads: Readonly<Record<SpreadQuantity, Readonly<Record<string, Spread>>>>
  /** What was measured, to know what is extrapolation. */
  readonly domain: {
    readonly pairs: readonly string[]
    readonly gpus: readonly string[]
    readonly formats: readonly string[]
    /** Engines measured with pipeline stages. */
    readonly pipelined: readonly string[]
    /** Kinds of token mixing. */
    readonly mixers: readonly string[]
    readonly maxConcurrency: number
    readonly maxTokens: number
    readonly minActiveParameters: number
    readonly maxActiveParameters: number
  }
}

export const calibration: Calibration = stored

/** The coefficients for an engine on a GPU; unseen pairs borrow from the engine, the generation, and all. */
export function calibratedCoefficients(
  engine: EngineProfile,
  gpu: Hardware,
  from: Calibration = calibration,
): Coefficients {
  return coefficientsOf(priors, from.deviations, engine.id, gpu.generation)
}

/** Energy coefficients of a generation, else of the most alike one that was measured. */
export function calibratedEnergy(
  { generation }: Hardware,
  from: Calibration = calibration,
): EnergyCoefficients | undefined {
  const alike = ['ampere', 'ada', 'cdna3'].includes(generation) ? 'hopper' : 'blackwell'
  return from.energy[generation] ?? from.energy[alike]
}

/** The interval's factors for a quantity; wider where the prediction extrapolates. */
export function spreadOf(
  quantity: SpreadQuantity,
  engine: EngineProfile | undefined,
  extrapolated: boolean,
  from: Calibration = calibration,
): Spread {
  const table = from.spreads[quantity]
  const spread = (engine && table[engine.id]) ?? table['all'] ?? { low: 0.5, high: 2 }
  return extrapolated ? { low: spread.low ** 1.5, high: spread.high ** 1.5 } : spread
}

/** Formats that take the same bytes and units as one that was measured. */
const measuredAs: Readonly<Record<string, string>> = {
  fp16: 'bf16',
  'fp8-block': 'fp8',
  'fp8-e5m2': 'fp8',
  mxfp4: 'fp4',
}

/** Kinds of token mixing, as reasons name them. */
const mixerNames: Readonly<Record<MixerGroup['kind'], string>> = {
  gqa: 'attention',
  mla: 'latent attention',
  compressed: 'compressed attention',
  linear: 'linear attention',
  mamba: 'Mamba-2',
  selective: 'Mamba',
  convolution: 'short convolution',
}

/** Why a prediction leaves what was measured; empty where it does not. */
export function extrapolations(
  facts: DeploymentFacts,
  load: { readonly concurrency: number; readonly inputTokens: number; readonly outputTokens: number },
  activeParameters: number,
  from: Calibration = calibration,
): readonly string[] {
  const { engine, gpu, precision, shape, pp, tp, dp } = facts.deployment
  const { domain } = from
  const reasons: string[] = []
  if (!domain.pairs.includes(`${engine.id}/${gpu.generation}`))
    reasons.push(`${engine.id} on ${gpu.generation} not measured`)
  else if (!domain.gpus.includes(gpu.id)) reasons.push(`${gpu.id} not measured`)
  if (!domain.formats.includes(measuredAs[precision.format.id] ?? precision.format.id))
    reasons.push(`${precision.format.id} not measured`)
  else if (precision.weightOnly && shape.expertBits === undefined)
    reasons.push(`${precision.format.id} expanded to BF16 on the way not measured`)
  if (load.concurrency > 1.5 * domain.maxConcurrency) reasons.push('more requests at once than measured')
  if (load.inputTokens + load.outputTokens > 1.2 * domain.maxTokens) reasons.push('longer sequences than measured')
  if (activeParameters < 0.8 * domain.minActiveParameters || activeParameters > 1.2 * domain.maxActiveParameters) {
    reasons.push('a smaller or larger model than measured')
  }
  for (const kind of new Set(shape.mixers.map((group) => group.kind))) {
    if (!domain.mixers.includes(kind)) reasons.push(`${mixerNames[kind]} layers not measured`)
  }
  reasons.push(...shape.unread.map((field) => `the config's '${field}' is not understood`))
  if (shape.mixers.some((group) => group.kind === 'mla' && group.indexer !== undefined)) {
    reasons.push('sparse attention not measured')
  }
  if (pp > 1 && !domain.pipelined.includes(engine.id)) reasons.push(`pipeline stages with ${engine.id} not measured`)
  if (tp * dp > Math.max(8, gpu.scaleUpGpus)) reasons.push('a replica over several servers')
  return reasons
}
