import type { RelayOperation, RequestExtension } from '../inference/index.ts'

/**
 * One request as the scheduler sees it: what it asks for and how much of it, without its contents. Admission reads how
 * much, placement reads where it would be cheap.
 */
export interface WorkItem {
  /** The model as the client named it. */
  readonly model: string
  readonly operation: RelayOperation
  /** Sequences that it generates at once: choices × prompts. 0 for work that takes no place in an engine's batch. */
  readonly sequences: number
  /** Tokens of the prompts, estimated from their bytes. */
  readonly promptTokens: number
  /** Most tokens that each sequence generates, as far as the client says. */
  readonly maxTokens: number | undefined
  /** Requests with equal keys profit from the same replica. */
  readonly affinityKey: string | undefined
  /** Name of the API key; undefined where none is required. */
  readonly tenant: string | undefined
  /** Fields that not every engine knows: only replicas that do are chosen. */
  readonly needs: readonly RequestExtension[]
  /** The answer comes as a whole, at its end: there is no first token to wait for, and only the total time counts. */
  readonly whole: boolean
}
