import { sleep, TokenmillError, toTokenmillError, type Clock, type ErrorCode, type Random } from '../core/index.ts'
import type { Engine } from '../inference/index.ts'
import type { PlacementPolicy } from './placement.ts'
import type { Replica } from './replica.ts'
import type { RetryBudget } from './retry-budget.ts'

export interface RouteTimeouts {
  /** Longest wait of one attempt for its first output. */
  readonly firstTokenMs: number
  /** Longest time of a request in all, from dispatch to its end, over all attempts. */
  readonly totalMs: number
}

/** One model name, and who serves it. */
export interface ModelRoute {
  readonly name: string
  readonly replicas: readonly Replica[]
  readonly placement: PlacementPolicy
  readonly budget: RetryBudget
  readonly timeouts: RouteTimeouts
  /** Most attempts on this model, the first included. */
  readonly maxAttempts: number
  /** Longest wait before another attempt, for a Retry-After or for the same replica to recover. */
  readonly maxRetryWaitMs: number
  /** Models to turn to, in order, when this one cannot serve. Their own fallbacks are not followed. */
  readonly fallbacks: readonly string[]
}

export interface DispatchRequest {
  /** As the client named it. */
  readonly model: string
  readonly affinityKey: string | undefined
  /** Engines that cannot do what is asked are passed over. */
  readonly capable: (engine: Engine) => boolean
  /** Replicas that have already failed this request after output. */
  readonly exclude?: ReadonlySet<Replica>
  /** The answer comes as a whole, at its end: there is no first token to wait for, and only the total time counts. */
  readonly whole?: boolean
}

/** One try of one request on one replica. */
export interface Attempt {
  readonly replica: Replica
  readonly engine: Engine
  /** The route that serves: the client's model, or a fallback. */
  readonly route: ModelRoute
  /** From 1, over all routes. */
  readonly number: number
  /** Fires when the client leaves, or a time limit passes; the reason is then a TokenmillError. */
  readonly signal: AbortSignal
  /** The first output is there: no other attempt will follow this one. */
  commit(): void
}

/** Told of what happens, for metrics and logs. Must not throw. */
export interface FleetObserver {
  attemptEnded?(attempt: Attempt, error: TokenmillError | undefined, committed: boolean): void
}

/**
 * Brings a request to a replica: chooses, tries, tries another before the first output, turns to fallback models.
 * What a try does is the caller's; this class owns which replica, how long, how often, and who is counted where.
 *
 *   for each model of [asked, fallbacks…]
 *     until attempts or budget end:  place → acquire → run → release
 */
export class Fleet {
  readonly #clock: Clock
  readonly #random: Random
  readonly #observer: FleetObserver
  #routes: ReadonlyMap<string, ModelRoute> = new Map()

  constructor(clock: Clock, random: Random, observer: FleetObserver = {}) {
    this.#clock = clock
    this.#random = random
    this.#observer = observer
  }

  get routes(): readonly ModelRoute[] {
    return [...this.#routes.values()]
  }

  route(model: string): ModelRoute | undefined {
    return this.#routes.get(model)
  }

  /** New routes for new requests. Those under way keep what they have; whoever calls drains what is left over. */
  setRoutes(routes: readonly ModelRoute[]): void {
    this.#routes = new Map(routes.map((route) => [route.name, route]))
  }

  /**
   * Runs a request. `run` does one attempt from its start to its complete end; what it resolves to is the result.
   * Throws `model_not_found`; `unavailable` where no replica could serve; `rate_limited` where all asked for a
   * pause; `deadline_exceeded`; `cancelled`; else what the last attempt threw.
   */
  async dispatch<T>(request: DispatchRequest, signal: AbortSignal, run: (attempt: Attempt) => Promise<T>): Promise<T> {
    const asked = this.#routes.get(request.model)
    if (asked === undefined) {
      const available = [...this.#routes.keys()]
      const message = `The model '${request.model}' does not exist here. Available: ${available.join(', ') || 'none'}.`
      throw new TokenmillError('model_not_found', message, { param: 'model', available })
    }
    asked.budget.deposit()
    const trial = new Trial(request, signal, this.#clock.now() + asked.timeouts.totalMs)
    const fallbacks = asked.fallbacks.flatMap((name) => this.#routes.get(name) ?? [])
    for (const route of [asked, ...fallbacks]) {
      const result = await this.#tryRoute(route, trial, run)
      if (result !== undefined) return result.value
    }
    throw trial.failure(asked, fallbacks)
  }

  /** Attempts on one route. Undefined: it cannot serve, and the next route may. Throws what no other attempt would mend. */
  async #tryRoute<T>(
    route: ModelRoute,
    trial: Trial,
    run: (attempt: Attempt) => Promise<T>,
  ): Promise<{ readonly value: T } | undefined> {
    for (let attempts = 0; attempts < route.maxAttempts; attempts += 1) {
      const again = attempts > 0
      const replica = await this.#choose(route, trial, again)
      if (replica === undefined) return undefined
      if (again && !route.budget.withdraw()) return undefined
      const outcome = await this.#attempt(route, replica, trial, run)
      if ('value' in outcome) return outcome
      trial.note(replica, outcome.error)
    }
    return undefined
  }

  /** Places among those that can serve now. On another attempt, waits a little where only waiting helps. */
  async #choose(route: ModelRoute, trial: Trial, again: boolean): Promise<Replica | undefined> {
    const waitUntilMs = this.#clock.now() + route.maxRetryWaitMs
    let waited = false
    for (;;) {
      trial.throwIfOver(this.#clock.now())
      const capable = route.replicas.filter((replica) => trial.mayUse(replica))
      const able = capable.filter((replica) => replica.absence() === undefined)
      const untried = able.filter((replica) => !trial.tried.has(replica))
      const others = untried.length > 0 ? untried : able.filter((replica) => replica !== trial.last)
      const candidates = others.length > 0 ? others : again && !waited ? [] : able
      if (candidates.length > 0) {
        return route.placement.place({ affinityKey: trial.request.affinityKey }, candidates)
      }
      // Only the replica that just failed is left, or all pause: waiting helps, if it is not for long.
      const delayMs =
        able.length > 0
          ? backoffMs * (0.5 + this.#random())
          : Math.max(minWaitMs, Math.min(...capable.map((replica) => replica.absence()?.againInMs ?? Infinity)))
      if (!again || this.#clock.now() + delayMs > waitUntilMs) return undefined
      await sleep(delayMs, this.#clock, trial.signal).catch(() => trial.throwIfOver(this.#clock.now()))
      waited = true
    }
  }

  async #attempt<T>(
    route: ModelRoute,
    replica: Replica,
    trial: Trial,
    run: (attempt: Attempt) => Promise<T>,
  ): Promise<{ readonly value: T } | { readonly error: TokenmillError }> {
    const abort = new AbortController()
    const onLeave = (): void => abort.abort(trial.signal.reason)
    trial.signal.addEventListener('abort', onLeave, { once: true })
    const { firstTokenMs, totalMs } = route.timeouts
    const noTimer = (): void => undefined
    const cancelFirst =
      trial.request.whole === true
        ? noTimer
        : this.#clock.schedule(firstTokenMs, () => {
            const message = `${replica.id} gave no first token within ${firstTokenMs} ms (limit 'firstTokenMs').`
            abort.abort(
              new TokenmillError('upstream_timeout', message, {
                limit: 'firstTokenMs',
                maximum: firstTokenMs,
                unit: 'ms',
              }),
            )
          })
    const cancelTotal = this.#clock.schedule(trial.deadlineMs - this.#clock.now(), () => {
      abort.abort(totalError(totalMs))
    })
    let committed = false
    trial.attempts += 1
    const attempt: Attempt = {
      replica,
      engine: replica.engine,
      route,
      number: trial.attempts,
      signal: abort.signal,
      commit: () => {
        committed = true
        cancelFirst()
      },
    }
    const release = replica.acquire()
    let failure: TokenmillError | undefined
    try {
      return { value: await run(attempt) }
    } catch (error) {
      failure = toTokenmillError(error)
      if (trial.signal.aborted && !(trial.signal.reason instanceof TokenmillError)) {
        // Whatever broke, it broke because the client left: no word about the replica.
        failure = new TokenmillError('cancelled', 'The request was cancelled by its client.', {}, error)
      }
      if (committed || trial.signal.aborted || !isMendable(failure.code)) throw failure
      return { error: failure }
    } finally {
      cancelFirst()
      cancelTotal()
      trial.signal.removeEventListener('abort', onLeave)
      release(failure)
      this.#observer.attemptEnded?.(attempt, failure, committed)
    }
  }
}

/** Before the one replica that there is gets the same request again; half to one and a half times this. */
const backoffMs = 100

/** A replica on trial may be free at any moment: looked at this often, not in a circle. */
const minWaitMs = 20

/** Another replica may do better. Everything else is the request's own fault, the client's leaving, or time over. */
const mendable: ReadonlySet<ErrorCode> = new Set([
  'upstream_failed',
  'upstream_timeout',
  'engine_failed',
  'unavailable',
  'rate_limited',
  'queue_full',
])

/** Most errors name their endpoint already. */
function named(id: string, reason: string): string {
  return reason.startsWith(`${id} `) || reason.includes(`endpoint ${id} `) ? reason : `${id}: ${reason}`
}

function isMendable(code: ErrorCode): boolean {
  return mendable.has(code)
}

function totalError(totalMs: number): TokenmillError {
  const message = `The request did not end within ${totalMs} ms (limit 'totalMs').`
  return new TokenmillError('deadline_exceeded', message, { limit: 'totalMs', maximum: totalMs, unit: 'ms' })
}

/** What has become of one request so far. */
class Trial {
  readonly request: DispatchRequest
  readonly signal: AbortSignal
  readonly deadlineMs: number
  readonly tried = new Map<Replica, TokenmillError>()
  last: Replica | undefined
  attempts = 0

  constructor(request: DispatchRequest, signal: AbortSignal, deadlineMs: number) {
    this.request = request
    this.signal = signal
    this.deadlineMs = deadlineMs
  }

  mayUse(replica: Replica): boolean {
    return this.request.exclude?.has(replica) !== true && this.request.capable(replica.engine)
  }

  note(replica: Replica, error: TokenmillError): void {
    this.last = replica
    this.tried.set(replica, error)
  }

  throwIfOver(nowMs: number): void {
    if (this.signal.aborted) {
      if (this.signal.reason instanceof TokenmillError) throw this.signal.reason
      throw new TokenmillError('cancelled', 'The request was cancelled by its client.')
    }
    if (nowMs >= this.deadlineMs)
      throw new TokenmillError('deadline_exceeded', "The request's time is over (limit 'totalMs').")
  }

  /** The error for the client once nobody could serve: saturated (429) is not unavailable (503). */
  failure(asked: ModelRoute, fallbacks: readonly ModelRoute[]): TokenmillError {
    const everyone = [asked, ...fallbacks].flatMap((route) => route.replicas)
    const usable = everyone.filter((replica) => this.mayUse(replica))
    const unsupported = usable.length === 0 && (this.request.exclude?.size ?? 0) === 0
    // An engine that has not answered yet supports nothing; that alone is no reason to refuse the operation.
    if (unsupported && everyone.length > 0 && everyone.every(({ engine }) => engine.status().state === 'ready')) {
      const message = `No endpoint of the model '${asked.name}' supports this operation.`
      return new TokenmillError('unsupported', message)
    }
    const states = (unsupported ? everyone : usable).map((replica) => ({
      replica,
      absence: replica.absence(),
      error: this.tried.get(replica),
    }))
    const untouched = states.some(({ absence, error }) => absence === undefined && error === undefined)
    const last = this.last === undefined ? undefined : this.tried.get(this.last)
    // Attempts or the retry budget ended while others could have served: the last error tells more.
    if (untouched && last !== undefined) return last
    const again = states.flatMap(({ absence }) => absence?.againInMs ?? [])
    const retryAfterMs = Math.min(60_000, Math.max(1, Math.ceil(again.length === 0 ? 1_000 : Math.min(...again))))
    const saturated = states.length > 0 && states.every(({ absence }) => absence?.kind === 'saturated')
    const list = states.map(({ replica, absence, error }) =>
      named(replica.id, error?.message ?? absence?.reason ?? 'failed'),
    )
    if (saturated) {
      const message = `All endpoints of the model '${asked.name}' are at their limits. ${list.join('; ')}`.trimEnd()
      return new TokenmillError('rate_limited', message, { retryAfterMs }, last)
    }
    const message = `No endpoint of the model '${asked.name}' can serve now. ${list.join('; ')}`.trimEnd()
    return new TokenmillError('unavailable', message, { retryAfterMs }, last)
  }
}
