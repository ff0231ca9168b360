import type { Clock, TokenmillError } from '../core/index.ts'
import type { Attempt } from '../scheduler/index.ts'
import type { Logger } from '../telemetry/index.ts'

/** Lines about one endpoint and one kind of failure come this far apart: an outage under load is told, not poured out. */
const minGapMs = 1000

/** Endpoints come and go with the configuration; past this many all are forgotten, at the cost of a line too many. */
const maxRemembered = 10_000

/**
 * Tells why attempts failed, which clients never see where another replica mended it. An error's own words are told
 * at `debug` alone: upstreams quote prompts and answers in them.
 */
export class AttemptLog {
  readonly #logger: Logger
  readonly #clock: Clock
  /** By endpoint and error code: of both there are few. */
  readonly #last = new Map<string, { atMs: number; untold: number }>()

  constructor(logger: Logger, clock: Clock) {
    this.#logger = logger
    this.#clock = clock
  }

  ended({ route, engine, number }: Attempt, error: TokenmillError | undefined, outputStarted: boolean): void {
    if (error === undefined || !isFailure(error) || !this.#logger.isLevelEnabled('warn')) return
    const { endpoint } = engine
    const key = `${endpoint} ${error.code}`
    const last = this.#last.get(key)
    const nowMs = this.#clock.now()
    if (last !== undefined && nowMs - last.atMs < minGapMs) {
      last.untold += 1
      return
    }
    if (last === undefined && this.#last.size >= maxRemembered) this.#last.clear()
    this.#last.set(key, { atMs: nowMs, untold: 0 })
    const { upstreamStatus, limit, retryAfterMs } = error.details
    const fields = { model: route.name, endpoint, attempt: number, errorCode: error.code, outputStarted }
    const told = { ...fields, upstreamStatus, limit, retryAfterMs, untold: last?.untold ?? 0 }
    this.#logger.warn(told, 'attempt failed')
    this.#logger.debug({ endpoint, errorCode: error.code }, error.message)
  }
}

/** The endpoint's doing: not the client's, and not an answer that it gave as it should. */
function isFailure({ code }: TokenmillError): boolean {
  return (
    code === 'upstream_failed' ||
    code === 'upstream_timeout' ||
    code === 'engine_failed' ||
    code === 'unavailable' ||
    code === 'rate_limited'
  )
}
