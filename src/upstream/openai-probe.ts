import type { Clock } from '../core/index.ts'
import type { EngineModel } from '../inference/index.ts'
import { endpointError } from '../protocol/index.ts'
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
  /** The model that the endpoint is configured for; undefined: whatever it serves. */
  readonly #wanted: string | undefined
  readonly #limits: UpstreamLimits
  readonly #clock: Clock
  #healthDueMs = 0
  #loadReadMs: number | undefined
  #loadDueMs = 0
  /** The list of models may have changed: the engine failed, was started anew, or does not know a model. */
  #listIsOld = true
  /** The metrics page that answered last; the search starts again when it fails. */
  #metricsPath: string | undefined

  constructor(
    http: EndpointHttp,
    { dialect, model }: { readonly dialect: Dialect | undefined; readonly model: string | undefined },
    limits: UpstreamLimits,
    clock: Clock,
  ) {
    this.#wanted = model
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
    if (this.#listIsOld || this.models.length === 0) {
      this.models = await listModels(this.#http, signal).catch(this.#unlessWatched)
      this.#listIsOld = false
    }
    this.#checkModel(this.dialect)
    await this.#checkHealth(this.dialect, signal)
    await this.#readLoad(this.dialect, signal)
  }

  failed(): void {
    this.#healthDueMs = 0
    this.#listIsOld = true
  }

  /** The next look asks for the models again. */
  relist(): void {
    this.#listIsOld = true
  }

  #checkModel(dialect: Dialect): void {
    if (dialect.listsAll !== true || this.#wanted === undefined || this.models.length === 0) return
    if (this.models.some(({ name }) => name === this.#wanted)) return
    const served = this.models.map(({ name }) => name).join(', ')
    throw endpointError('unavailable', this.name, `does not serve '${this.#wanted}'. Served: ${served}.`)
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
    if (this.#clock.now() < this.#loadDueMs) return
    const paths = this.#metricsPath === undefined ? dialect.metricsPaths : [this.#metricsPath]
    for (const path of paths) {
      const answer = await this.#http.fetch({ method: 'GET', path }, signal)
      const load = answer.status === 200 ? dialect.readLoad(answer.body) : undefined
      if (load === undefined) continue
      if (this.load.startedAt !== undefined && load.startedAt !== this.load.startedAt) this.#listIsOld = true
      this.load = load
      this.#loadReadMs = this.#clock.now()
      // vLLM makes the whole page whatever is asked for: it costs both sides more, so it is asked for less.
      const pages = Math.ceil(answer.body.length / cheapPageBytes)
      this.#loadDueMs = this.#loadReadMs + (pages - 1) * this.#limits.scrapeIntervalMs
      this.#metricsPath = path
      return
    }
    this.#metricsPath = undefined
  }
}

/** A page up to this size is read at each look; one of twice the size at every second, and so on. */
const cheapPageBytes = 16 * 1024
