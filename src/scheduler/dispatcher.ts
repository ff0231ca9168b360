import {
  linkedController,
  sleep,
  throwIfAborted,
  TokenmillError,
  toTokenmillError,
  type Clock,
  type ErrorCode,
  type Random,
} from '../core/index.ts'
import type { Engine } from '../inference/index.ts'
import { DispatchLog } from './dispatch-log.ts'
import type { ModelPool, ModelRoute } from './model-pool.ts'
import { candidatesOf, placeRequest, type Lease } from './placer.ts'
import type { Replica } from './replica.ts'
import type { WorkItem } from './work-item.ts'

/** One try of one request on one replica. */
export interface Attempt {
  readonly replica: Replica
  readonly engine: Engine
  /** The model that serves: the one asked for, or a fallback. */
  readonly route: ModelRoute
  /** The name under which the engine knows it. */
  readonly engineModel: string
  /** From 1, over all models. */
  readonly number: number
  /** Milliseconds that the request waited in queues. */
  readonly queuedMs: number
  /** Fires when the client leaves, or a time limit passes; the reason is then a TokenmillError. */
  readonly signal: AbortSignal
  /** The first output is there: no other attempt will follow this one. */
  commit(): void
}

/** Sees each attempt end, for metrics and logs. Must not throw. */
export type AttemptObserver = (attempt: Attempt, error: TokenmillError | undefined, committed: boolean) => void

/**
 * Brings a request to a replica: admits it to a model, places it, tries, tries another replica before the first output,
 * turns to fallback models. What a try does is the caller's; this class owns which replica, how long, how often, under
 * whose permit.
 *
 *   for each model of [asked, fallbacks…]:  admit →  until attempts or budget end: place → run → release  → give the permit back
 */
export class Dispatcher {
  readonly #findRoute: (model: string) => ModelRoute | undefined
  readonly #clock: Clock
  readonly #random: Random
  readonly #attemptEnded: AttemptObserver

  /** `findRoute` gives the routes of fallbacks, as they are at the moment of each request. */
  constructor(
    findRoute: (model: string) => ModelRoute | undefined,
    clock: Clock,
    random: Random,
    attemptEnded: AttemptObserver,
  ) {
    this.#findRoute = findRoute
    this.#clock = clock
    this.#random = random
    this.#attemptEnded = attemptEnded
  }

  /**
   * Runs a request. `run` does one attempt from its start to its complete end; what it resolves to is the result.
   * `excluded` are replicas that have already failed this request after its output began.
   *
   * Throws `queue_full` and `queue_timeout` of the model's queue; `unsupported` and `unavailable` where no replica could
   * serve; `rate_limited` where all asked for a pause; `deadline_exceeded`; `cancelled`; else what the last attempt threw.
   */
  async dispatch<T>(
    asked: ModelRoute,
    item: WorkItem,
    signal: AbortSignal,
    run: (attempt: Attempt) => Promise<T>,
    excluded: ReadonlyMap<Replica, unknown> = none,
  ): Promise<T> {
    asked.pool.retryBudget.deposit()
    const log = new DispatchLog(asked, item, excluded)
    const task: Task<T> = { item, signal, excluded, log, run, attempts: 0, queuedMs: 0, deadlineMs: undefined }
    const result = await this.#tryModel(asked, task)
    if (result !== undefined) return result.value
    for (const name of asked.pool.fallbacks) {
      const fallback = this.#findRoute(name)
      if (fallback === undefined) continue
      log.turnTo(fallback)
      const result = await this.#tryModel(fallback, task)
      if (result !== undefined) return result.value
    }
    throw log.failure()
  }

  /** Undefined: this model cannot serve, and a fallback may. Throws what no other attempt would mend. */
  async #tryModel<T>(route: ModelRoute, task: Task<T>): Promise<Result<T> | undefined> {
    const { pool } = route
    // A request that nothing can serve now does not wait in the queue to learn it.
    let able: readonly Replica[] | undefined = candidatesOf(route, task.item, task.excluded).able
    if (able.length === 0) return undefined
    let permit = pool.admission.tryAdmit(task.item)
    if (permit === undefined) {
      able = undefined
      try {
        permit = await pool.admission.admit(task.item, task.signal)
      } catch (thrown) {
        const error = toTokenmillError(thrown)
        if (!task.log.hasFallback || task.signal.aborted) throw error
        task.log.refused(error)
        return undefined
      }
      task.queuedMs += permit.queuedMs
    }
    task.deadlineMs ??= this.#clock.now() + pool.limits.totalMs
    try {
      return await this.#attempts(route, task, task.log.last === undefined ? able : undefined)
    } finally {
      permit.release()
    }
  }

  /** `first` are the replicas for the first attempt, where they were looked at this moment. */
  async #attempts<T>(
    route: ModelRoute,
    task: Task<T>,
    first: readonly Replica[] | undefined,
  ): Promise<Result<T> | undefined> {
    const { pool } = route
    for (let attempts = 0; attempts < pool.limits.maxAttempts; attempts += 1) {
      const known = attempts === 0 ? first : undefined
      const candidates = known ?? (await this.#choose(route, task, attempts > 0))
      if (candidates === undefined) return undefined
      if (attempts > 0 && !pool.retryBudget.withdraw()) return undefined
      const outcome = await this.#attempt(placeRequest(route, task.item, candidates), task)
      if ('value' in outcome) return outcome
      // A request that kills engines is not sent to a third one.
      if (task.log.deaths >= maxDeaths) throw outcome.error
    }
    return undefined
  }

  /**
   * Those among which the policy places: of the replicas that can serve now the untried ones, else all but the last. On
   * another attempt, waits a little where only waiting helps. Undefined where none can serve.
   */
  async #choose<T>(route: ModelRoute, task: Task<T>, again: boolean): Promise<readonly Replica[] | undefined> {
    const { log } = task
    const waitUntilMs = this.#clock.now() + route.pool.limits.maxRetryWaitMs
    let waited = false
    for (;;) {
      throwIfAborted(task.signal)
      this.#throwIfLate(task, route.pool)
      const { able: placeable, capable } = candidatesOf(route, task.item, task.excluded)
      const able = placeable.filter((replica) => !log.isHopeless(replica))
      if (log.last === undefined && able.length > 0) return able
      const untried = able.filter((replica) => !log.tried.has(replica))
      const others = untried.length > 0 ? untried : able.filter((replica) => replica !== log.last)
      if (others.length > 0) return others
      if (able.length > 0 && (!again || waited)) return able
      if (!again) return undefined
      // Only the replica that just failed is left, or all pause: waiting helps, if it is not for long.
      const delayMs =
        able.length > 0
          ? backoffMs * (0.5 + this.#random())
          : Math.max(
              minWaitMs,
              Math.min(...capable.map((replica) => replica.unavailability()?.againInMs ?? Number.POSITIVE_INFINITY)),
            )
      if (this.#clock.now() + delayMs > waitUntilMs) return undefined
      await sleep(delayMs, this.#clock, task.signal)
      waited = true
    }
  }

  async #attempt<T>(lease: Lease, task: Task<T>): Promise<Result<T> | { readonly error: TokenmillError }> {
    const { replica, route, engineModel } = lease
    const limit = this.#startLimits(lease, task)
    let committed = false
    task.attempts += 1
    const attempt: Attempt = {
      replica,
      engine: replica.engine,
      route,
      engineModel,
      number: task.attempts,
      queuedMs: task.queuedMs,
      signal: limit.signal,
      commit: () => {
        committed = true
        limit.firstOutput()
      },
    }
    let failure: TokenmillError | undefined
    try {
      return { value: await task.run(attempt) }
    } catch (error) {
      failure = toTokenmillError(error)
      if (task.signal.aborted && !(task.signal.reason instanceof TokenmillError)) {
        // Whatever broke, it broke because the client left: that says nothing about the replica.
        failure = new TokenmillError('cancelled', 'The request was cancelled by its client.', {}, error)
      }
      const hopeful = mendable.has(failure.code) || this.#mayBeSupportedElsewhere(failure, lease, task)
      if (committed || task.signal.aborted || !hopeful) throw failure
      // One attempt and no fallback: its error is the answer.
      if (route.pool.limits.maxAttempts === 1 && !task.log.hasFallback) throw failure
      task.log.attemptFailed(replica, failure)
      return { error: failure }
    } finally {
      limit.stop()
      lease.release(failure)
      this.#attemptEnded(attempt, failure, committed)
    }
  }

  /** An engine of another kind may have what this one lacks. */
  #mayBeSupportedElsewhere<T>({ code }: TokenmillError, { route, replica }: Lease, task: Task<T>): boolean {
    if (code !== 'unsupported') return false
    const { able } = candidatesOf(route, task.item, task.excluded)
    return able.some((each) => each !== replica && !task.log.tried.has(each))
  }

  /** The time limits of one attempt. Without any, its signal is the request's own. */
  #startLimits<T>({ replica, route }: Lease, { item, signal, deadlineMs = Infinity }: Task<T>): AttemptLimits {
    const { firstTokenMs, totalMs } = route.pool.limits
    const waitsForFirst = !item.whole && Number.isFinite(firstTokenMs)
    if (!waitsForFirst && !Number.isFinite(deadlineMs)) return { signal, firstOutput: nothing, stop: nothing }
    const { controller, unlink } = linkedController(signal)
    const cancelFirst = waitsForFirst
      ? this.#clock.schedule(firstTokenMs, () => controller.abort(firstTokenError(replica.id, firstTokenMs)))
      : nothing
    const cancelTotal = Number.isFinite(deadlineMs)
      ? this.#clock.schedule(deadlineMs - this.#clock.now(), () => controller.abort(totalError(totalMs)))
      : nothing
    return {
      signal: controller.signal,
      firstOutput: cancelFirst,
      stop: () => {
        cancelFirst()
        cancelTotal()
        unlink()
      },
    }
  }

  #throwIfLate<T>({ deadlineMs }: Task<T>, { limits }: ModelPool): void {
    if (deadlineMs !== undefined && this.#clock.now() >= deadlineMs) throw totalError(limits.totalMs)
  }
}

/** One request on its way through the dispatcher. */
interface Task<T> {
  readonly item: WorkItem
  readonly signal: AbortSignal
  readonly excluded: ReadonlyMap<Replica, unknown>
  readonly log: DispatchLog
  readonly run: (attempt: Attempt) => Promise<T>
  attempts: number
  queuedMs: number
  /** On the clock; undefined before the first admission. */
  deadlineMs: number | undefined
}

interface Result<T> {
  readonly value: T
}

interface AttemptLimits {
  readonly signal: AbortSignal
  firstOutput(): void
  stop(): void
}

const none: ReadonlyMap<Replica, unknown> = new Map()

/** Replicas that may drop the connection under one request, before its output. */
const maxDeaths = 2

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

function firstTokenError(replica: string, firstTokenMs: number): TokenmillError {
  const message = `${replica} gave no first token within ${firstTokenMs} ms (limit 'firstTokenMs').`
  const details = { limit: 'firstTokenMs', maximum: firstTokenMs, unit: 'ms', endpoint: replica }
  return new TokenmillError('upstream_timeout', message, details)
}

function totalError(totalMs: number): TokenmillError {
  const message = `The request did not end within ${totalMs} ms (limit 'totalMs').`
  return new TokenmillError('deadline_exceeded', message, { limit: 'totalMs', maximum: totalMs, unit: 'ms' })
}

function nothing(): void {
  // No limit runs.
}
