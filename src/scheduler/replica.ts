import type { Clock, TokenmillError } from '../core/index.ts'
import type { Engine } from '../inference/index.ts'
import { CircuitBreaker, type BreakerLimits } from './breaker.ts'
import type { ReplicaView } from './placement.ts'

export interface ReplicaSettings {
  readonly id: string
  readonly engine: Engine
  readonly weight: number
  readonly labels: Readonly<Record<string, string>>
}

/** Why a replica cannot take a request now, and when to ask again, if that is known. */
export interface Unavailability {
  readonly reason: string
  /**
   * `saturated`: it asked for a pause because it is at its limits, and is healthy otherwise.
   * `restarting`: requests that are sent to it wait until it has started again.
   */
  readonly kind: 'down' | 'saturated' | 'restarting'
  readonly againInMs: number | undefined
}

/**
 * One engine as the scheduler sees it: its health by probes (the engine's own status), by traffic (the breaker), by
 * its own word (Retry-After), and the requests in flight from here.
 *
 * Several models may share a replica: then they share its counters too.
 */
export class Replica implements ReplicaView {
  readonly id: string
  readonly engine: Engine
  readonly breaker: CircuitBreaker
  readonly #clock: Clock
  #inFlight = 0
  #coolUntilMs = 0
  #coolKind: 'down' | 'saturated' = 'down'
  #weight: number
  #labels: Readonly<Record<string, string>>
  #draining = false
  #idle: (() => void)[] = []

  constructor(settings: ReplicaSettings, limits: () => BreakerLimits, clock: Clock) {
    this.id = settings.id
    this.engine = settings.engine
    this.#weight = settings.weight
    this.#labels = settings.labels
    this.breaker = new CircuitBreaker(limits, clock)
    this.#clock = clock
  }

  get weight(): number {
    return this.#weight
  }

  get labels(): Readonly<Record<string, string>> {
    return this.#labels
  }

  /** What can change while its engine stays. */
  update({ weight, labels }: Pick<ReplicaSettings, 'weight' | 'labels'>): void {
    this.#weight = weight
    this.#labels = labels
  }

  get inFlight(): number {
    return this.#inFlight
  }

  get running(): number {
    return this.engine.status().running
  }

  get waiting(): number {
    return this.engine.status().waiting
  }

  get kvCacheUsage(): number | undefined {
    return this.engine.status().kvCacheUsage
  }

  get loadAgeMs(): number | undefined {
    return this.engine.status().ageMs
  }

  get draining(): boolean {
    return this.#draining
  }

  /** Undefined: it can take a request now. */
  unavailability(): Unavailability | undefined {
    const { state, reason = state } = this.engine.status()
    if (this.#draining) return { kind: 'down', reason: 'draining', againInMs: undefined }
    if (state === 'restarting') return { kind: 'restarting', reason, againInMs: undefined }
    // An unloaded model loads again with its next request.
    if (state !== 'ready' && state !== 'unloaded') return { kind: 'down', reason, againInMs: undefined }
    const coolMs = this.#coolUntilMs - this.#clock.now()
    if (coolMs > 0)
      return { kind: this.#coolKind, reason: `asked for a pause of ${Math.ceil(coolMs)} ms`, againInMs: coolMs }
    if (!this.breaker.admits) {
      return { kind: 'down', reason: `circuit breaker ${this.breaker.state}`, againInMs: this.breaker.opensInMs }
    }
    return undefined
  }

  /** Counts a request in, from dispatch on. The returned function counts it out, once, and notes how it ended. */
  acquire(): (error?: TokenmillError) => void {
    this.#inFlight += 1
    const leave = this.breaker.enter()
    let released = false
    return (error) => {
      if (released) return
      released = true
      this.#inFlight -= 1
      leave(faultOf(error))
      this.#coolDown(error)
      if (this.#inFlight === 0) for (const call of this.#idle.splice(0)) call()
    }
  }

  /** No new requests from now on. Resolves when those in flight have ended, or after `maxWaitMs`. */
  async drain(maxWaitMs: number): Promise<void> {
    this.#draining = true
    if (this.#inFlight === 0) return
    await new Promise<void>((resolve) => {
      const cancel = this.#clock.schedule(maxWaitMs, resolve)
      this.#idle.push(() => {
        cancel()
        resolve()
      })
    })
  }

  #coolDown(error: TokenmillError | undefined): void {
    // An engine that runs here says by itself, at no cost, whether it can take a request.
    if (error === undefined || this.engine.loadsModel === true) return
    const pauseMs = error.details.retryAfterMs ?? (error.code === 'rate_limited' ? defaultPauseMs : 0)
    const untilMs = this.#clock.now() + pauseMs
    if (pauseMs <= 0 || untilMs <= this.#coolUntilMs) return
    this.#coolUntilMs = untilMs
    this.#coolKind = error.code === 'rate_limited' || error.code === 'queue_full' ? 'saturated' : 'down'
  }
}

/** After a 429 without Retry-After. */
const defaultPauseMs = 1_000

/** Did the replica fail? Undefined: the ending says nothing about it. */
function faultOf(error: TokenmillError | undefined): boolean | undefined {
  if (error === undefined) return false
  switch (error.code) {
    case 'upstream_failed':
    case 'upstream_timeout':
    case 'engine_failed':
    case 'unavailable':
      return true
    case 'invalid_request':
    case 'unsupported':
    case 'limit_exceeded':
    case 'context_length_exceeded':
      return false
    default:
      return undefined
  }
}
