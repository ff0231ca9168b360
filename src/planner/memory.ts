import type { Hardware } from './hardware.ts'
import type { DeploymentFacts } from './roofline.ts'

/** Share of a GPU's memory that engines are given, and what they need beside weights and cache. */
export const memoryRules = {
  /** vLLM and TensorRT-LLM default to 0.9 of the memory; SGLang computes a like share. */
  usable: 0.9,
  /** CUDA context, graphs, NCCL, activations of one chunk, per GPU. AIConfigurator counts 3.5 GiB + 0.4 for NCCL. */
  workspaceBytes: 4e9,
} as const

/** KV bytes of one sequence of `tokens` tokens on one GPU of its attention group. */
export function sequenceBytes(facts: DeploymentFacts, tokens: number): number {
  let bytes = tokens * facts.kvBytesPerTokenPerGpu + facts.stateBytesPerGpu
  for (const window of facts.windowKv) bytes += Math.min(tokens, window.tokens) * window.bytesPerToken
  return bytes
}

/**
 * Memory of one GPU in bytes. The "GB" of accelerator names are binary: an H200 of 141 GB shows 143,771 MiB, a B200
 * of 180 GB shows 183,359 MiB.
 */
export function memoryBytes(gpu: Hardware): number {
  return gpu.memoryGb * 1024 ** 3
}

/** Bytes for the KV cache on each GPU; negative when the weights alone do not fit. */
export function cacheRoomBytes(facts: DeploymentFacts, usable: number = memoryRules.usable): number {
  return memoryBytes(facts.deployment.gpu) * usable - facts.weightBytesPerGpu - memoryRules.workspaceBytes
}

/**
 * Sequences that the replica's cache holds at once; 0 when the weights do not fit. vLLM and SGLang take cache as a
 * sequence grows, so half its output counts; TensorRT-LLM reserves the whole of it (guaranteed no eviction).
 */
export function cacheCapacity(
  facts: DeploymentFacts,
  inputTokens: number,
  outputTokens: number,
  usable: number = memoryRules.usable,
): number {
  const room = cacheRoomBytes(facts, usable)
  if (room <= 0) return 0
  const held = facts.deployment.engine === 'trtllm' ? outputTokens : outputTokens / 2
  const each = sequenceBytes(facts, inputTokens + held)
  return each === 0 ? Infinity : (facts.deployment.dp * room) / each
}
