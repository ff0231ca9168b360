import { TokenmillError } from '../../core/index.ts'
import type { DeploymentFacts } from './deployment-facts.ts'
import type { Deployment } from './deployment.ts'
import type { Hardware } from './hardware.ts'

/** Shares of a GPU's memory that engines are given, and what they need beside weights and cache. */
export const memoryRules = {
  /** vLLM and TensorRT-LLM default to 0.9 of the memory; SGLang computes a like share. */
  usable: 0.9,
  /** What an operator can set before the engine fails to start; used where the default leaves no room. */
  usableAtMost: 0.95,
  /** CUDA context, graphs, communication buffers, activations of one chunk, per GPU. AIConfigurator counts 3.9 GB. */
  workspaceBytes: 4e9,
} as const

/**
 * Memory of one GPU in bytes. The "GB" of accelerator names are binary: an H200 of 141 GB shows 143,771 MiB, a B200
 * of 180 GB shows 183,359 MiB.
 */
export function memoryBytes(gpu: Hardware): number {
  return gpu.memoryGb * 1024 ** 3
}

/**
 * KV bytes of one sequence of `tokens` tokens on one GPU of its attention group. An engine with
 * one pool for all layers keeps everything in windowed layers too.
 */
export function sequenceBytes(facts: DeploymentFacts, tokens: number): number {
  let bytes = tokens * facts.kvBytesPerTokenPerGpu + facts.stateBytesPerGpu
  const { windowedCache } = facts.deployment.engine
  for (const window of facts.windowKv) {
    bytes += (windowedCache ? Math.min(tokens, window.tokens) : tokens) * window.bytesPerToken
  }
  return bytes
}

/** Bytes for the KV cache on each GPU; negative when the weights alone do not fit. */
export function cacheRoomBytes(facts: DeploymentFacts, usable: number = memoryRules.usable): number {
  return memoryBytes(facts.deployment.gpu) * usable - facts.weightBytesPerGpu - memoryRules.workspaceBytes
}

/**
 * Sequences that the replica's cache holds at once; 0 when the weights do not fit. Of an
 * answer counts the share that the engine reserves on average.
 */
export function cacheCapacity(
  facts: DeploymentFacts,
  inputTokens: number,
  outputTokens: number,
  usable: number = memoryRules.usable,
): number {
  const room = cacheRoomBytes(facts, usable)
  if (room <= 0) return 0
  const held = outputTokens * facts.deployment.engine.reservedOutputShare
  const each = sequenceBytes(facts, inputTokens + held)
  return each === 0 ? Infinity : (facts.deployment.dp * room) / each
}

/** Most sequences that an engine batches unless told otherwise, per replica. */
export function engineMaxBatch(deployment: Deployment): number {
  return deployment.engine.maxBatch * deployment.dp
}

/** The share of memory to plan with: the default, or the most an operator can set where weights need it. */
export function assessMemory(facts: DeploymentFacts): { readonly usable: number; readonly roomBytes: number } {
  const tight = cacheRoomBytes(facts) < 0.02 * memoryBytes(facts.deployment.gpu)
  const usable = tight ? memoryRules.usableAtMost : memoryRules.usable
  return { usable, roomBytes: cacheRoomBytes(facts, usable) }
}

/** The error for a deployment that cannot hold its weights, or not one sequence. */
export function memoryShortage(facts: DeploymentFacts, tokens: number): TokenmillError {
  const { shape, gpu, precision, tp, pp, dp } = facts.deployment
  const { usable, roomBytes } = assessMemory(facts)
  const missing = Math.ceil(sequenceBytes(facts, tokens) - roomBytes)
  const perGpu = memoryBytes(gpu) * usable - memoryRules.workspaceBytes
  const gpus = Math.ceil((facts.weightBytesPerGpu * tp * pp) / perGpu)
  let fitting = tp * pp
  while (fitting < gpus) fitting *= 2
  const remedy =
    fitting > tp * pp
      ? `${fitting} GPUs per replica (tp × pp) would hold it${precision.format.bits > 8 ? ', or a narrower precision' : ''}.`
      : 'A shorter sequence, a narrower KV cache or more GPUs would make it fit.'
  return new TokenmillError(
    'unsupported',
    `${shape.name} in ${precision.format.id} on tp ${tp} × pp ${pp} × dp ${dp} ${gpu.id} does not fit: each GPU lacks ${missing} bytes (${(missing / 1e9).toFixed(1)} GB) for weights (${(facts.weightBytesPerGpu / 1e9).toFixed(1)} GB), workspace and one sequence of ${tokens} tokens. ${remedy}`,
    {
      param: 'tp',
      limit: 'gpuMemory',
      maximum: Math.floor(memoryBytes(gpu) * usable),
      actual: Math.floor(memoryBytes(gpu) * usable) + missing,
      unit: 'bytes',
    },
  )
}
