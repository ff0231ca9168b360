import { TokenmillError } from '../core/index.ts'
import { extensionNames } from '../inference/index.ts'
import { canServe } from './engine-support.ts'
import type { ModelRoute } from './model-pool.ts'
import type { Replica } from './replica.ts'
import type { WorkItem } from './work-item.ts'

/** What has become of one request so far: where it was tried, what failed there, and the error that this adds up to. */
export class DispatchLog {
  readonly tried = new Map<Replica, TokenmillError>()
  /** The replica that failed last. */
  last: Replica | undefined
  readonly #routes: ModelRoute[]
  readonly #item: WorkItem
  readonly #excluded: ReadonlyMap<Replica, unknown>
  /** A model's queue that refused it. */
  #refusal: TokenmillError | undefined

  constructor(asked: ModelRoute, item: WorkItem, excluded: ReadonlyMap<Replica, unknown>) {
    this.#routes = [asked]
    this.#item = item
    this.#excluded = excluded
  }

  /** The model asked for names others to turn to. */
  get hasFallback(): boolean {
    return (this.#routes[0]?.pool.fallbacks.length ?? 0) > 0
  }

  turnTo(fallback: ModelRoute): void {
    this.#routes.push(fallback)
  }

  attemptFailed(replica: Replica, error: TokenmillError): void {
    this.last = replica
    this.tried.set(replica, error)
  }

  /** Replicas that dropped the connection under this request: their processes may have died of it. */
  get deaths(): number {
    return [...this.tried.values()].filter(({ details }) => details.connectionLost === true).length
  }

  /** It refused our credentials: it would again. */
  isHopeless(replica: Replica): boolean {
    const status = this.tried.get(replica)?.details.upstreamStatus
    return status === 401 || status === 403
  }

  refused(error: TokenmillError): void {
    this.#refusal ??= error
  }

  /** The error for the client once nothing could serve: saturated (429) is not unavailable (503). */
  failure(): TokenmillError {
    const [asked] = this.#routes
    const everyone = this.#routes.flatMap(({ pool }) => pool.replicas)
    const usable = everyone.filter((replica) => !this.#excluded.has(replica) && canServe(replica.engine, this.#item))
    const unsupported = usable.length === 0 && this.#excluded.size === 0
    // An engine that has not answered yet supports nothing; that alone is no reason to refuse the operation.
    if (unsupported && everyone.length > 0 && everyone.every(({ engine }) => engine.status().state === 'ready')) {
      return this.#unsupported(everyone)
    }
    const states = (unsupported ? everyone : usable).map((replica) => ({
      replica,
      unavailability: replica.unavailability(),
      error: this.tried.get(replica),
    }))
    const last = this.last === undefined ? undefined : this.tried.get(this.last)
    const untouched = states.some(({ unavailability, error }) => unavailability === undefined && error === undefined)
    // Attempts or the retry budget ended, or a queue was full, while replicas could have served: that error tells more.
    const reason = last ?? this.#refusal
    if (untouched && reason !== undefined) return reason
    // No engine had what was asked for: coming back would not help.
    if (last?.code === 'unsupported') return last
    const again = states.flatMap(({ unavailability }) => unavailability?.againInMs ?? [])
    const retryAfterMs = Math.min(60_000, Math.max(1, Math.ceil(again.length === 0 ? 1_000 : Math.min(...again))))
    const saturated = states.length > 0 && states.every(({ unavailability }) => unavailability?.kind === 'saturated')
    const list = states.map(({ replica, unavailability, error }) =>
      withName(replica.id, error?.message ?? unavailability?.reason ?? 'failed'),
    )
    const endpoint = states.map(({ replica }) => replica.id).join(', ')
    const reasons = list.length === 0 ? '' : ` ${list.join('; ')}`
    if (saturated) {
      const message = `All endpoints of the model '${asked?.name}' are at their limits.${reasons}`
      return new TokenmillError('rate_limited', message, { retryAfterMs, endpoint }, last)
    }
    const message = `No endpoint of the model '${asked?.name}' can serve now.${reasons}`
    return new TokenmillError('unavailable', message, { retryAfterMs, endpoint }, last)
  }

  /** Names the field that no engine knows, if it is one that is in the way. */
  #unsupported(everyone: readonly Replica[]): TokenmillError {
    const unknown = this.#item.needs.find(
      (need) => !everyone.some(({ engine }) => engine.extensions?.has(need) === true),
    )
    if (unknown === undefined) {
      return new TokenmillError(
        'unsupported',
        `No endpoint of the model '${this.#item.model}' supports this operation.`,
      )
    }
    const param = extensionNames[unknown]
    const endpoints = everyone.map(({ id }) => id).join(', ')
    const text = `${param} is not supported by ${endpoints}. Leave it out, or ask a model whose engine knows it: vLLM, SGLang, trtllm-serve, Tokenmill's own.`
    return new TokenmillError('unsupported', text, { param })
  }
}

/** Most errors name their endpoint already. */
function withName(id: string, reason: string): string {
  return reason.startsWith(`${id} `) || reason.includes(`endpoint ${id} `) ? reason : `${id}: ${reason}`
}
