import { onAbort, systemClock, toTokenmillError, type Clock, type TokenmillError } from '../core/index.ts'
import { endpointError } from '../protocol/index.ts'
import { CheckPace } from './check-pace.ts'
import type { UpstreamLimits } from './endpoint.ts'

/** Told when an endpoint ceases to be well, and why, and when it has become well again. */
export type EndpointListener = (
  endpoint: string,
  state: 'ready' | 'unavailable',
  error: TokenmillError | undefined,
) => void

/** What endpoints share with others of the same server. */
export interface EndpointHost {
  readonly clock?: Clock
  readonly listener?: EndpointListener
  readonly pace?: CheckPace
}

/** How one kind of endpoint is looked at. */
export interface EndpointProbe {
  readonly name: string
  /** Its load is read too, which is asked for more often than health. */
  readonly readsLoad: boolean
  /** One look: what it is if that is unknown, health if due, load. Rejects where it is not well. */
  look(signal: AbortSignal): Promise<void>
  /** The last look failed: the next one trusts nothing that an earlier one found. */
  failed(): void
}

/**
 * Watches one endpoint: whether it is well, and by its probe what it is and how busy. One check runs at a time, and the next is
 * set when it has ended, so that a slow endpoint is asked less and never twice at once.
 *
 *   loading ──first good check──▶ ready ⇄ unavailable (after `unhealthyAfter` bad ones; one good one brings it back)
 */
export class EndpointWatch {
  state: 'loading' | 'ready' | 'unavailable' = 'loading'
  lastError: TokenmillError | undefined
  readonly #probe: EndpointProbe
  readonly #limits: UpstreamLimits
  readonly #clock: Clock
  readonly #listener: EndpointListener
  readonly #pace: CheckPace
  #leavePace: () => void = () => undefined
  #stopped = false
  #checking: AbortController | undefined
  readonly #waiting: ((error?: TokenmillError) => void)[] = []
  #failures = 0
  #cancelNext: () => void = () => undefined

  constructor(probe: EndpointProbe, limits: UpstreamLimits, host: EndpointHost) {
    this.#probe = probe
    this.#limits = limits
    this.#clock = host.clock ?? systemClock
    this.#listener = host.listener ?? (() => undefined)
    this.#pace = host.pace ?? new CheckPace(limits.maxChecksPerSecond)
  }

  start(): void {
    this.#leavePace = this.#pace.enter()
    void this.#check()
  }

  stop(): void {
    this.#stopped = true
    this.#checking?.abort()
    this.#cancelNext()
    this.#leavePace()
  }

  /** Resolves at the first good check; rejects with the first bad one's error, or when the signal fires. */
  ready(signal: AbortSignal): Promise<void> {
    if (this.state === 'ready') return Promise.resolve()
    if (this.lastError !== undefined) return Promise.reject(this.lastError)
    return new Promise((resolve, reject) => {
      const stopListening = onAbort(signal, reject)
      this.#waiting.push((error) => {
        stopListening()
        if (error === undefined) resolve()
        else reject(error)
      })
    })
  }

  /** One round. Never throws. */
  async #check(): Promise<void> {
    // One signal and one timer: joined signals cost more than the rest of a check.
    const late = new AbortController()
    this.#checking = late
    const cancelTimer = this.#clock.schedule(this.#limits.probeTimeoutMs, () => late.abort())
    try {
      await this.#probe.look(late.signal)
      this.#good()
    } catch (error) {
      if (this.#stopped) return
      this.#bad(late.signal.aborted ? this.#late() : toTokenmillError(error))
    } finally {
      cancelTimer()
    }
    if (this.#stopped) return
    this.#cancelNext = this.#clock.schedule(this.#nextDelayMs(), () => void this.#check())
  }

  #late(): TokenmillError {
    const problem = `did not answer a check within ${this.#limits.probeTimeoutMs} ms.`
    return endpointError('upstream_timeout', this.#probe.name, problem)
  }

  #good(): void {
    this.#failures = 0
    this.lastError = undefined
    if (this.state === 'unavailable') this.#listener(this.#probe.name, 'ready', undefined)
    this.state = 'ready'
    for (const waiting of this.#waiting.splice(0)) waiting()
  }

  #bad(error: TokenmillError): void {
    this.#failures += 1
    this.#probe.failed()
    // At the start, slow is not down: it may be this machine that is busy.
    const patient = this.state === 'loading' && isTimeout(error) && this.#failures < this.#limits.unhealthyAfter
    if (patient) return
    this.lastError = error
    if (this.state === 'loading' || this.#failures >= this.#limits.unhealthyAfter) {
      if (this.state !== 'unavailable') this.#listener(this.#probe.name, 'unavailable', error)
      this.state = 'unavailable'
    }
    for (const waiting of this.#waiting.splice(0)) waiting(error)
  }

  /** Up to a tenth earlier or later would be jitter; here the answer's own time spreads the checks enough. */
  #nextDelayMs(): number {
    // Nobody can use it before its first check.
    if (this.state === 'loading') return firstChecksMs
    const { scrapeIntervalMs, probeIntervalMs } = this.#limits
    return this.#pace.delayMs(this.#probe.readsLoad ? Math.min(scrapeIntervalMs, probeIntervalMs) : probeIntervalMs)
  }
}

/** Between checks until the first has ended one way or the other. */
const firstChecksMs = 100

function isTimeout({ code }: TokenmillError): boolean {
  return code === 'upstream_timeout'
}
