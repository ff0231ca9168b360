import type { ErrorCode } from '../core/index.ts'
import type { Outcome } from './outcome.ts'

/**
 * The account of one request. Every request ends in exactly one, whatever its ending; the ledger, the metrics
 * and the access log read it and nothing else.
 *
 * Times are milliseconds. `…Ms` fields count from `receivedAtMs`, which is wall time; undefined where the
 * request did not get that far.
 */
export interface UsageRecord {
  readonly requestId: string
  /** `POST /v1/chat/completions` */
  readonly operation: string
  /** As the client named it; empty where it named none. */
  readonly model: string
  /** Replica that served it, or tried last; undefined if none did. */
  readonly endpoint: string | undefined
  /** Name of the API key, never the key; undefined without one. */
  readonly keyName: string | undefined
  readonly stream: boolean
  readonly outcome: Outcome
  readonly errorCode: ErrorCode | undefined
  /** Status of the response's head; undefined when the client left before it. */
  readonly httpStatus: number | undefined

  readonly promptTokens: number
  /** Undefined: the engine does not say. */
  readonly cachedTokens: number | undefined
  readonly completionTokens: number
  readonly reasoningTokens: number | undefined
  /** Token counts were estimated here, because the upstream gave none. */
  readonly tokensEstimated: boolean

  readonly receivedAtMs: number
  /** Left the waiting queue. */
  readonly admittedAfterMs: number | undefined
  readonly ttftMs: number | undefined
  /** (last token − first token) / (tokens − 1); undefined under two tokens. */
  readonly tpotMs: number | undefined
  /** Longest gap between two writes of tokens. */
  readonly stallMs: number | undefined
  readonly durationMs: number
}

/** Takes each record once. Must not throw and must not wait. */
export type UsageSink = (record: UsageRecord) => void
