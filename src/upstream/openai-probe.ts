import type { Clock } from '../core/index.ts'
import type { EngineModel } from '../inference/index.ts'
import { detectDialect, listModels } from './detect.ts'
import { noLoad, type Dialect, type EngineLoad } from './dialect.ts'
import type { UpstreamLimits } from './endpoint.ts'
import type { EndpointProbe } from './endpoint-watch.ts'
import type { EndpointHttp } from './http.ts'

/** Looks at an endpoint with OpenAI's API: its kind, its models, its health page, its metrics page. */
export class OpenAiProbe implements EndpointProbe {
  readonly name: string
  dialect: Dialect | undefined
  models: readonly EngineModel[] = []
  load: EngineLoad = noLoad
  readonly #http: EndpointHttp
  readonly #limits: UpstreamLimits
  readonly #clock: Clock
  #healthDueMs = 0
  #loadReadMs: number | undefined
  /** The metrics page that answered last; the search starts again when it fails. */
  #metricsPath: string | undefined

  constructor(http: EndpointHttp, dialect: Dialect | undefined, limits: UpstreamLimits, clock: Clock) {
    this.name = http.name
    this.dialect = dialect
    this.#http = http
    this.#limits = limits
    this.#clock = clock
  }

  get readsLoad(): boolean {
    return this.#metricsPath !== undefined
  }

  /** Milliseconds since the load was read; undefined where it never was. */
  get loadAgeMs(): number | undefined {
    return this.#loadReadMs === undefined ? undefined : this.#clock.now() - this.#loadReadMs
  }

  async look(signal: AbortSignal): Promise<void> {
    this.dialect ??= await detectDialect(this.#http, signal)
    if (this.models.length === 0) this.models = await listModels(this.#http, signal).catch(this.#unlessWatched)
    await this.#checkHealth(this.dialect, signal)
    await this.#readLoad(this.dialect, signal)
  }

  failed(): void {
    this.#healthDueMs = 0
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
}
