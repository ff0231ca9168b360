import type { ModelShape } from '../../model/index.ts'
import type { Prediction } from '../timing/predict.ts'
import type { Deployment } from '../work/deployment.ts'
import type { EngineProfile } from '../work/engine-profiles.ts'
import type { Hardware, PriceTier } from '../work/hardware.ts'
import type { NumberFormat } from '../work/precision.ts'

/** What the fleet must do. */
export interface Demand {
  readonly inputTokens: number
  readonly outputTokens: number
  /** Requests per second over the fleet; or `users` streams that never pause. */
  readonly ratePerSecond?: number
  readonly users?: number
  readonly ttftMs?: number
  readonly tpotMs?: number
}

export interface Candidates {
  readonly shape: ModelShape
  readonly gpus: readonly Hardware[]
  readonly engines?: readonly EngineProfile[]
  readonly formats: readonly NumberFormat[]
  /** Leave out formats that a GPU has no units for. */
  readonly nativeFormatsOnly?: boolean
  readonly maxGpusPerReplica: number
  /** Consider prefill and decode on GPUs of their own too. */
  readonly disaggregated?: boolean
}

export interface Assumptions {
  readonly priceTier: PriceTier
  readonly utilisation: number
  readonly prefixHit: number
  readonly tokensPerStep: number
  /** Which end of the intervals must meet the objectives and size the fleet: the likeliest value, or the unfavourable end. */
  readonly risk: Risk
}

export type Risk = 'median' | 'safe'

/** One way to serve: its replica, how hard it may be driven, and what the fleet then costs. */
export interface Choice {
  readonly deployment: Deployment
  readonly prediction: Prediction
  /** Every point that was tried, for the Pareto plot. */
  readonly sweep: readonly Prediction[]
  readonly replicas: number
  readonly gpus: number
  /** Requests per second that one replica serves within the objectives. */
  readonly requestsPerSecond: number
  readonly usdPerHour: number | undefined
  readonly usdPerMillionOutput: number | undefined
  readonly usdPerMillionInput: number | undefined
  readonly usdPerMillionTotal: number | undefined
  /** Objectives that the unfavourable end of the interval misses; none: the choice is safe. */
  readonly risks: readonly RiskOfMiss[]
}

/** An objective that the likeliest value meets and the unfavourable end of its interval does not. */
export interface RiskOfMiss {
  readonly quantity: 'TTFT' | 'TPOT'
  readonly worstMs: number
  readonly objectiveMs: number
}

/** Why a configuration is out, in a word that others share. */
export type RejectionCause = 'memory' | 'TTFT' | 'TPOT' | 'TTFT and TPOT' | 'split' | 'other'

export interface Rejected {
  readonly deployment: string
  readonly cause: RejectionCause
  readonly reason: string
  /** By how much it is out: bytes missing on a GPU, or the time over the objective; undefined where nothing is measured. */
  readonly over: { readonly value: number; readonly objective: number } | undefined
  /** The points that fit, if any: they belong in the plot. */
  readonly sweep: readonly Prediction[]
}

export interface Recommendation {
  /** Cheapest first. */
  readonly choices: readonly Choice[]
  readonly rejected: readonly Rejected[]
}
