import type { RelayOperation, RelaySink } from '../inference/index.ts'
import type { ByteCodec, RequestScan } from '../protocol/index.ts'
import type { Attempt } from '../scheduler/index.ts'

export interface RelayLimits {
  readonly maxSseFrameBytes: number
  readonly maxAnswerBytes: number
  readonly maxContinuationBytes: number
}

/** A request that is sent on as bytes. */
export interface Relay {
  readonly codec: ByteCodec
  readonly scan: RequestScan
  /** Identifier of the HTTP request. */
  readonly id: string
  /** The model as the client named it: what the answer shows. */
  readonly model: string
  readonly operation: RelayOperation
  readonly traceParent: string | undefined
  readonly limits: RelayLimits
}

/** How a relayed answer ended. */
export interface RelayEnd {
  /** Bytes that are left to write. */
  readonly rest: Buffer
  /** Finish reasons of its choices, in the upstream's words. */
  readonly finishReasons: readonly string[]
}

/** Sends the request to the attempt's engine, with the engine's own name of the model spliced in. */
export function sendRelayed(
  { codec, scan, id, operation, traceParent }: Relay,
  { engine, engineModel, signal }: Attempt,
  sink: RelaySink,
): Promise<void> {
  if (engine.relay === undefined) throw new Error(`${engine.endpoint} takes no bytes.`)
  const body = codec.rewrite(scan, engineModel)
  return engine.relay({ id, operation, body, priority: scan.priority, traceParent }, sink, signal)
}
