import { monitorEventLoopDelay } from 'node:perf_hooks'
import { Registry } from 'prom-client'
import type { UsageRecord } from '../inference/index.ts'
import { ModelMetrics, RequestFamilies } from './model-metrics.ts'
import { registerModelMetrics, registerProcessMetrics, type ModelGauges } from './scrape-metrics.ts'

/**
 * All metrics, under vLLM's names where vLLM has one (so that autoscalers, endpoint pickers and dashboards made
 * for it work), under `tokenmill_` otherwise. Gauges are read at the scrape; histograms and counters are fed by
 * usage records and by the times of tokens.
 */
export class Metrics {
  readonly #registry = new Registry()
  readonly #families = new RequestFamilies(this.#registry)
  readonly #byModel = new Map<string, ModelMetrics>()
  readonly #eventLoop: ReturnType<typeof monitorEventLoopDelay>

  /** `droppedLogLines` counts the log lines lost so far. */
  constructor(models: () => readonly ModelGauges[], droppedLogLines: () => number = () => 0) {
    this.#eventLoop = monitorEventLoopDelay({ resolution: 20 })
    this.#eventLoop.enable()
    registerModelMetrics(this.#registry, models)
    registerProcessMetrics(this.#registry, this.#eventLoop, droppedLogLines)
  }

  /** For those who have metrics of their own. */
  get registry(): Registry {
    return this.#registry
  }

  /** A model's own part: hold it where more than one count of a request is made. Bounded by the models that there are. */
  tokens(model: string): ModelMetrics {
    const known = this.#byModel.get(model)
    if (known !== undefined) return known
    const fresh = new ModelMetrics(model, this.#families)
    this.#byModel.set(model, fresh)
    return fresh
  }

  /** Our share of a request, once it is at the engine. */
  overhead(model: string, overheadMs: number): void {
    this.tokens(model).overhead(overheadMs)
  }

  /** A choice ended of itself; `reason` in OpenAI's words. */
  choiceFinished(model: string, reason: string): void {
    this.tokens(model).choiceFinished(reason)
  }

  /** Takes a usage record. A name that no model has is not a label: anybody could send any. */
  record(record: UsageRecord): void {
    if (record.endpoint === undefined) this.#families.ended('', record)
    else this.tokens(record.model).record(record)
  }

  get contentType(): string {
    return this.#registry.contentType
  }

  /** The text of a scrape. */
  async text(): Promise<string> {
    return await this.#registry.metrics()
  }

  close(): void {
    this.#eventLoop.disable()
  }
}
