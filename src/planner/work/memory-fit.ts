import { countWeights } from '../../model/index.ts'
import { factsOf, type BoundedKv } from './deployment-facts.ts'
import { kvHeadCopies, type Deployment } from './deployment.ts'
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
  readonly weights: number
  readonly kvBytesPerTokenPerGpu: number
  /** What one token keeps over all GPUs, each copy of a head counted once; windowed layers left out. */
  readonly kvBytesPerToken: number
  /** Layers that keep a bounded number of tokens: the most, and what each of these takes, over all GPUs. */
  readonly windows: readonly BoundedKv[]
  /** Bytes that a sequence keeps whatever its length, over all GPUs: linear attention and state spaces. */
  readonly stateBytes: number
  /** Copies of each KV head, or of a latent, over the GPUs of an attention group. */
  readonly kvCopies: number
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
    weights: countWeights(deployment.shape).total,
    kvBytesPerTokenPerGpu: facts.kvBytesPerTokenPerGpu,
    ...cacheOf(deployment),
    kvCopies: kvHeadCopies(deployment),
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

/** The cache of the whole model: that of one GPU that holds everything. */
function cacheOf(deployment: Deployment): Pick<MemoryFit, 'kvBytesPerToken' | 'windows' | 'stateBytes'> {
  const whole = factsOf({ ...deployment, tp: 1, pp: 1, ep: 1, dp: 1 })
  return {
    kvBytesPerToken: whole.kvBytesPerTokenPerGpu,
    windows: byLength(whole.windowKv),
    stateBytes: whole.stateBytesPerGpu,
  }
}

/** Windows of one length become one. */
function byLength(windows: readonly BoundedKv[]): readonly BoundedKv[] {
  return [...Map.groupBy(windows, ({ tokens }) => tokens)].map(([tokens, equal]) => ({
    tokens,
    bytesPerToken: equal.reduce((sum, { bytesPerToken }) => sum + bytesPerToken, 0),
  }))
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
