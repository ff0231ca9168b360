import { TokenmillError, toTokenmillError, type Clock } from '../core/index.ts'
import type { EngineModel } from '../inference/index.ts'
import { detectDialect, listModels } from './detect.ts'
import { noLoad, type Dialect, type EngineLoad } from './dialect.ts'
import type { UpstreamLimits } from './endpoint.ts'
import type { EndpointHttp } from './http.ts'

/**
 * Watches one endpoint: what it is, whether it is well, how busy it is. One check runs at a time, and the next is
 * set when it has ended, so that a slow endpoint is asked less and never twice at once.
 *
 *   loading ──first good check──▶ ready ⇄ unavailable (after `unhealthyAfter` bad ones; one good one brings it back)
 */
export class EndpointWatch {
  state: 'loading' | 'ready' | 'unavailable' = 'loading'
  dialect: Dialect | undefined
  models: readonly EngineModel[] = []
  load: EngineLoad = noLoad
  lastError: TokenmillError | undefined
  readonly #http: EndpointHttp
  readonly #limits: UpstreamLimits
  readonly #clock: Clock
  readonly #stop = new AbortController()
  readonly #waiting: ((error?: TokenmillError) => void)[] = []
  #failures = 0
  #healthDueMs = 0
  #loadReadMs: number | undefined
  /** The metrics page that answered last; the search starts again when it fails. */
  #metricsPath: string | undefined
  #cancelNext: () => void = () => undefined

  constructor(http: EndpointHttp, dialect: Dialect | undefined, limits: UpstreamLimits, clock: Clock) {
    this.#http = http
    this.dialect = dialect
    this.#limits = limits
    this.#clock = clock
  }

  /** Milliseconds since the load was read; undefined where it never was. */
  get loadAgeMs(): number | undefined {
    return this.#loadReadMs === undefined ? undefined : this.#clock.now() - this.#loadReadMs
  }

  start(): void {
    void this.#check()
  }

  stop(): void {
    this.#stop.abort()
    this.#cancelNext()
  }

  /** Resolves at the first good check; rejects with the first bad one's error, or when the signal fires. */
  ready(signal: AbortSignal): Promise<void> {
    if (this.state === 'ready') return Promise.resolve()
    if (this.lastError !== undefined) return Promise.reject(this.lastError)
    return new Promise((resolve, reject) => {
      const onAbort = (): void => reject(toTokenmillError(signal.reason))
      signal.addEventListener('abort', onAbort, { once: true })
      this.#waiting.push((error) => {
        signal.removeEventListener('abort', onAbort)
        if (error === undefined) resolve()
        else reject(error)
      })
    })
  }

  /** One round: what it is if that is unknown, health if due, load. Never throws. */
  async #check(): Promise<void> {
    const signal = AbortSignal.any([this.#stop.signal, AbortSignal.timeout(this.#limits.probeTimeoutMs)])
    try {
      this.dialect ??= await detectDialect(this.#http, signal)
      if (this.models.length === 0) this.models = await listModels(this.#http, signal).catch(this.#unlessWatched)
      await this.#checkHealth(this.dialect, signal)
      await this.#readLoad(this.dialect, signal)
      this.#good()
    } catch (error) {
      if (this.#stop.signal.aborted) return
      this.#bad(signal.aborted ? this.#late() : toTokenmillError(error))
    }
    this.#cancelNext = this.#clock.schedule(this.#nextDelayMs(), () => void this.#check())
  }

  /** A provider need not have a list of models; an engine whose health is asked shows there whether it lives. */
  readonly #unlessWatched = (error: unknown): readonly EngineModel[] => {
    if (this.dialect?.healthPath === undefined && this.dialect !== undefined) return []
    throw error
  }

  async #checkHealth(dialect: Dialect, signal: AbortSignal): Promise<void> {
    const nowMs = this.#clock.now()
    if (dialect.healthPath === undefined || nowMs < this.#healthDueMs) return
    const answer = await this.#http.fetch({ method: 'GET', path: dialect.healthPath }, signal)
    if (answer.status !== 200) throw new Error(`${dialect.healthPath} answered with status ${answer.status}`)
    this.#healthDueMs = nowMs + (dialect.healthIntervalMs ?? this.#limits.probeIntervalMs)
  }

  async #readLoad(dialect: Dialect, signal: AbortSignal): Promise<void> {
    const paths = this.#metricsPath === undefined ? dialect.metricsPaths : [this.#metricsPath]
    for (const path of paths) {
      const answer = await this.#http.fetch({ method: 'GET', path }, signal)
      const load = answer.status === 200 ? dialect.readLoad(answer.body) : undefined
      if (load === undefined) continue
      this.load = load
      this.#loadReadMs = this.#clock.now()
      this.#metricsPath = path
      return
    }
    this.#metricsPath = undefined
  }

  #late(): TokenmillError {
    const message = `The endpoint ${this.#http.name} did not answer a check within ${this.#limits.probeTimeoutMs} ms.`
    return new TokenmillError('upstream_timeout', message)
  }

  #good(): void {
    this.#failures = 0
    this.lastError = undefined
    this.state = 'ready'
    for (const waiting of this.#waiting.splice(0)) waiting()
  }

  #bad(error: TokenmillError): void {
    this.#failures += 1
    this.#healthDueMs = 0
    // At the start, slow is not down: it may be this machine that is busy.
    const patient = this.state === 'loading' && isTimeout(error) && this.#failures < this.#limits.unhealthyAfter
    if (patient) return
    this.lastError = error
    if (this.state === 'loading' || this.#failures >= this.#limits.unhealthyAfter) this.state = 'unavailable'
    for (const waiting of this.#waiting.splice(0)) waiting(error)
  }

  /** Up to a tenth earlier or later would be jitter; here the answer's own time spreads the checks enough. */
  #nextDelayMs(): number {
    // Nobody can use it before its first check.
    if (this.state === 'loading') return firstChecksMs
    const hasLoad = this.#metricsPath !== undefined
    return hasLoad
      ? Math.min(this.#limits.scrapeIntervalMs, this.#limits.probeIntervalMs)
      : this.#limits.probeIntervalMs
  }
}

/** Between checks until the first has ended one way or the other. */
const firstChecksMs = 100

function isTimeout({ code }: TokenmillError): boolean {
  return code === 'upstream_timeout'
}
