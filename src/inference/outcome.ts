import type { ErrorCode, TokenmillError } from '../core/index.ts'

/** Why a continuation ended of itself. `length`: its token limit or the context. */
export type FinishReason = 'stop' | 'length' | 'toolCalls' | 'contentFilter'

/**
 * How a request ended, in few words: the label of metrics and of ledger rows.
 * `rejected`: never queued. `evicted`: queued or running, then given up by us. `cancelled`: its client left.
 */
export type Outcome = 'completed' | 'rejected' | 'evicted' | 'cancelled' | 'invalid' | 'failed'

/** The outcome that an error stands for. */
export function outcomeOf(error: TokenmillError): Outcome {
  return outcomes[error.code]
}

const outcomes: Readonly<Record<ErrorCode, Outcome>> = {
  invalid_request: 'invalid',
  unsupported: 'invalid',
  limit_exceeded: 'invalid',
  context_length_exceeded: 'invalid',
  unauthenticated: 'invalid',
  forbidden: 'invalid',
  model_not_found: 'invalid',
  not_found: 'invalid',
  method_not_allowed: 'invalid',
  queue_full: 'rejected',
  rate_limited: 'rejected',
  budget_exceeded: 'rejected',
  unavailable: 'rejected',
  queue_timeout: 'evicted',
  deadline_exceeded: 'evicted',
  cancelled: 'cancelled',
  engine_failed: 'failed',
  upstream_failed: 'failed',
  upstream_timeout: 'failed',
  internal: 'failed',
  startup: 'failed',
}
