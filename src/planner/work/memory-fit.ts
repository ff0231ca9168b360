import { factsOf } from './deployment-facts.ts'
import type { Deployment } from './deployment.ts'
import { assessMemory, cacheCapacity, engineMaxBatch, memoryBytes, memoryRules, sequenceBytes } from './memory.ts'

/** Whether a deployment fits, and how much context at how many sequences. */
export interface MemoryFit {
  readonly fits: boolean
  /** Bytes on the fullest GPU. */
  readonly perGpu: {
    readonly memory: number
    readonly usable: number
    readonly weights: number
    readonly workspace: number
    readonly cacheRoom: number
  }
  readonly weightBytes: number
  readonly kvBytesPerTokenPerGpu: number
  readonly kvBytesPerElement: number
  /** Most tokens that one sequence can hold, the model's context considered; 0 when the weights do not fit. */
  readonly maxContextAlone: number
  /** Sequences at once by their length in tokens. */
  readonly batches: readonly { readonly tokens: number; readonly sequences: number }[]
  /** Bytes missing per GPU for the asked context and batch; 0 when they fit. */
  readonly missingBytes: number
}

/** Answers "does it fit, at which context and batch" with the numbers. */
export function fitMemory(deployment: Deployment, contextTokens: number, sequences: number): MemoryFit {
  const facts = factsOf(deployment)
  const memory = memoryBytes(deployment.gpu)
  const { usable, roomBytes } = assessMemory(facts)
  const limit = deployment.shape.contextTokens ?? 1_000_000
  const perGroup = Math.ceil(sequences / deployment.dp)
  const missingBytes = Math.max(0, perGroup * sequenceBytes(facts, contextTokens) - roomBytes)
  return {
    fits: missingBytes === 0,
    perGpu: {
      memory,
      usable: memory * usable,
      weights: facts.weightBytesPerGpu,
      workspace: memoryRules.workspaceBytes,
      cacheRoom: roomBytes,
    },
    weightBytes: facts.weightBytes,
    kvBytesPerTokenPerGpu: facts.kvBytesPerTokenPerGpu,
    kvBytesPerElement: deployment.precision.kvBytes,
    maxContextAlone: longestSequence((tokens) => sequenceBytes(facts, tokens) <= roomBytes, limit),
    batches: [1024, 2048, 4096, 8192, 16_384, 32_768, 65_536, 131_072, 262_144]
      .filter((tokens) => tokens <= limit)
      .map((tokens) => ({
        tokens,
        sequences: Math.floor(Math.min(engineMaxBatch(deployment), cacheCapacity(facts, tokens, 0, usable))),
      })),
    missingBytes,
  }
}

/** The largest length up to `limit` that fits, by halving; 0 when none does. */
function longestSequence(fits: (tokens: number) => boolean, limit: number): number {
  if (!fits(1)) return 0
  let low = 1
  let high = limit
  while (low < high) {
    const middle = Math.ceil((low + high) / 2)
    if (fits(middle)) low = middle
    else high = middle - 1
  }
  return low
}
