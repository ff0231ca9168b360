import { TokenmillError } from '../../core/index.ts'
import type { DeploymentFacts } from './deployment-facts.ts'

/**
 * Prefill and decode on GPUs of their own: `prefillReplicas` replicas compute prompts and hand the KV cache over to
 * `decodeReplicas` that emit tokens. Written xPyD.
 */
export interface DisaggregatedLayout {
  readonly prefill: DeploymentFacts
  readonly prefillReplicas: number
  readonly decode: DeploymentFacts
  readonly decodeReplicas: number
}

/** What the hand-over of one prompt's cache takes. */
export interface Disaggregation extends DisaggregatedLayout {
  /** KV bytes of one prompt, over all GPUs of its attention group. */
  readonly transferBytes: number
  /** 10⁹ bytes/s per GPU, one direction: the scale-up link while all GPUs fit in its domain, else the network. */
  readonly linkGbS: number
  readonly link: 'scale-up' | 'scale-out'
  readonly transferMs: number
  /** Share of the prefill replicas' time that is busy. */
  readonly prefillBusy: number
}

/** GPUs of the whole xPyD unit. */
export function layoutGpus(layout: DisaggregatedLayout): number {
  return layout.prefill.gpus * layout.prefillReplicas + layout.decode.gpus * layout.decodeReplicas
}

/** Throws `invalid_request` unless both sides run one model on one GPU type with one engine and cache format. */
export function checkLayout(layout: DisaggregatedLayout): void {
  const { prefill, decode, prefillReplicas, decodeReplicas } = layout
  const same =
    prefill.deployment.shape.name === decode.deployment.shape.name &&
    prefill.deployment.gpu.id === decode.deployment.gpu.id &&
    prefill.deployment.engine === decode.deployment.engine &&
    prefill.deployment.precision.kvBytes === decode.deployment.precision.kvBytes
  if (!same) {
    throw new TokenmillError(
      'invalid_request',
      'Prefill and decode replicas must share model, GPU, engine and cache format: the one hands its cache to the other.',
      { param: 'disaggregated' },
    )
  }
  if (
    !Number.isInteger(prefillReplicas) ||
    !Number.isInteger(decodeReplicas) ||
    prefillReplicas < 1 ||
    decodeReplicas < 1
  ) {
    throw new TokenmillError(
      'invalid_request',
      `A disaggregated unit has ${prefillReplicas} prefill and ${decodeReplicas} decode replicas; both must be whole numbers from 1.`,
      { param: 'disaggregated' },
    )
  }
}
