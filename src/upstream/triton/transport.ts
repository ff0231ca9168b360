import type { RelayFlow } from '../../inference/index.ts'
import type { RepositoryEntry } from './contract.ts'
import type { InputTensor, OutputTensors } from './tensors.ts'

/** What Triton tells of one model. */
export interface TritonModel {
  readonly name: string
  readonly inputs: ReadonlySet<string>
  readonly outputs: ReadonlySet<string>
  /** Inputs have a batch dimension in front. */
  readonly batched: boolean
  /** It may give any number of responses to one request: it streams. */
  readonly decoupled: boolean
  /** The strings under `parameters` in its configuration. */
  readonly parameters: ReadonlyMap<string, string>
}

export interface InferCall {
  readonly model: TritonModel
  /** Identifier of the HTTP request, for Triton's own logs. */
  readonly id: string
  readonly inputs: readonly InputTensor[]
  /** Milliseconds until the answer is of no use any more; undefined: none. */
  readonly deadlineMs: number | undefined
}

/** Takes the responses to one call. Throwing from `outputs` ends the call with that error. */
export interface InferSink {
  begin(flow: RelayFlow): void
  outputs(tensors: OutputTensors): void
}

/**
 * Triton by one of its two protocols. Every call rejects with a TokenmillError: the abort's reason, what Triton
 * said, or `upstream_failed` and `upstream_timeout` for the connection.
 */
export interface TritonTransport {
  readonly name: string
  /** Rejects where the server does not answer. Not its readiness: one broken model of many makes all of it unready. */
  live(signal: AbortSignal): Promise<void>
  /** Whether the model is loaded; false for one that does not exist, too. */
  isReady(model: string, signal: AbortSignal): Promise<boolean>
  index(signal: AbortSignal): Promise<readonly RepositoryEntry[]>
  describe(model: string, signal: AbortSignal): Promise<TritonModel>
  load(model: string, signal: AbortSignal): Promise<void>
  unload(model: string, signal: AbortSignal): Promise<void>
  /** Resolves after the last response; an answer cut short rejects. Aborting tells Triton at once. */
  infer(call: InferCall, sink: InferSink, signal: AbortSignal): Promise<void>
  close(): Promise<void>
}
