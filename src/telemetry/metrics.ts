import { monitorEventLoopDelay } from 'node:perf_hooks'
import { Counter, Gauge, Histogram, Registry } from 'prom-client'
import type { EngineStatus, UsageRecord } from '../inference/index.ts'
import { gapBuckets, overheadBuckets, requestBuckets, ttftBuckets } from './buckets.ts'
import type { TokenObserver } from './request-account.ts'

/** A model as the gauges see it at the moment of a scrape. */
export interface ModelGauges {
  readonly name: string
  readonly status: EngineStatus
  /** Requests that wait here, before the engine. */
  readonly queued: number
}

interface ModelParts {
  readonly overhead: Histogram.Internal<'model_name'>
  readonly promptTokens: Counter.Internal
  readonly generationTokens: Counter.Internal
  readonly queueTime: Histogram.Internal<'model_name'>
  readonly e2e: Histogram.Internal<'model_name'>
  readonly tpot: Histogram.Internal<'model_name'>
}

/**
 * All metrics, under vLLM's names where vLLM has one (so that autoscalers, endpoint pickers and dashboards made
 * for it work), under `tokenmill_` otherwise. Gauges are read at the scrape; histograms and counters are fed by
 * usage records and by the times of tokens.
 */
export class Metrics {
  readonly #registry = new Registry()
  readonly #models: () => readonly ModelGauges[]
  readonly #eventLoop: ReturnType<typeof monitorEventLoopDelay>
  readonly #observers = new Map<string, TokenObserver>()
  /** The labelled parts of the metrics that every request touches: finding them by label costs more than counting. */
  readonly #byModel = new Map<string, ModelParts>()
  readonly #ended = new Map<string, { inc(): void }>()

  readonly #ttft = this.#histogram('vllm:time_to_first_token_seconds', 'Request received to first token', ttftBuckets)
  readonly #itl = this.#histogram(
    'vllm:inter_token_latency_seconds',
    'Gap between two tokens of a sequence',
    gapBuckets,
  )
  readonly #tpot = this.#histogram(
    'vllm:request_time_per_output_token_seconds',
    'Mean time for each output token after the first, by request',
    gapBuckets,
  )
  readonly #e2e = this.#histogram('vllm:e2e_request_latency_seconds', 'Request received to last byte', requestBuckets)
  readonly #queueTime = this.#histogram(
    'vllm:request_queue_time_seconds',
    'Wait for a place at the engine',
    requestBuckets,
  )
  readonly #overhead = this.#histogram(
    'tokenmill_request_overhead_seconds',
    "The server's own share: request received to the engine's call, less the wait in the queue",
    overheadBuckets,
  )
  readonly #promptTokens = this.#counter('vllm:prompt_tokens_total', 'Prompt tokens of all requests', ['model_name'])
  readonly #generationTokens = this.#counter('vllm:generation_tokens_total', 'Generated tokens', ['model_name'])
  readonly #success = this.#counter('vllm:request_success_total', 'Choices that ended of themselves', [
    'model_name',
    'finished_reason',
  ])
  readonly #requests = this.#counter('tokenmill_requests_total', 'Requests by how they ended', [
    'model_name',
    'operation',
    'outcome',
    'error_code',
  ])

  /** `droppedLogLines` counts the log lines lost so far. */
  constructor(models: () => readonly ModelGauges[], droppedLogLines: () => number = () => 0) {
    this.#models = models
    this.#eventLoop = monitorEventLoopDelay({ resolution: 20 })
    this.#eventLoop.enable()
    this.#modelGauges()
    this.#processGauges()
    this.#add(
      new Counter({
        name: 'tokenmill_log_lines_dropped_total',
        help: 'Log lines dropped because their target was full, slow or gone',
        registers: [],
        collect() {
          this.reset()
          this.inc(droppedLogLines())
        },
      }),
    )
  }

  /** For those who have metrics of their own. */
  get registry(): Registry {
    return this.#registry
  }

  /** Where the tokens of a model's requests are timed. */
  tokens(model: string): TokenObserver {
    const known = this.#observers.get(model)
    if (known !== undefined) return known
    const ttft = this.#ttft.labels(model)
    const itl = this.#itl.labels(model)
    const observer = {
      firstToken: (ms: number) => ttft.observe(ms / 1000),
      gap: (ms: number) => itl.observe(ms / 1000),
    }
    this.#observers.set(model, observer)
    return observer
  }

  /** Our share of a request, once it is at the engine. */
  overhead(model: string, overheadMs: number): void {
    this.#parts(model).overhead.observe(overheadMs / 1000)
  }

  /** A choice ended of itself; `reason` in OpenAI's words. */
  choiceFinished(model: string, reason: string): void {
    this.#success.inc({ model_name: model, finished_reason: reason })
  }

  /** Takes a usage record. A name that no model has is not a label: anybody could send any. */
  record(record: UsageRecord): void {
    const model = record.endpoint === undefined ? '' : record.model
    this.#endedAs(model, record).inc()
    if (record.endpoint === undefined) return
    const parts = this.#parts(model)
    parts.promptTokens.inc(record.promptTokens)
    parts.generationTokens.inc(record.completionTokens)
    if (record.admittedAfterMs !== undefined) parts.queueTime.observe(record.admittedAfterMs / 1000)
    if (record.outcome !== 'completed') return
    parts.e2e.observe(record.durationMs / 1000)
    if (record.tpotMs !== undefined) parts.tpot.observe(record.tpotMs / 1000)
  }

  /** Bounded by the models that there are: other names are no label. */
  #parts(model: string): ModelParts {
    const known = this.#byModel.get(model)
    if (known !== undefined) return known
    const parts = {
      overhead: this.#overhead.labels(model),
      promptTokens: this.#promptTokens.labels(model),
      generationTokens: this.#generationTokens.labels(model),
      queueTime: this.#queueTime.labels(model),
      e2e: this.#e2e.labels(model),
      tpot: this.#tpot.labels(model),
    }
    this.#byModel.set(model, parts)
    return parts
  }

  #endedAs(model: string, { operation, outcome, errorCode }: UsageRecord): { inc(): void } {
    const key = `${outcome} ${errorCode ?? ''} ${operation} ${model}`
    const known = this.#ended.get(key)
    if (known !== undefined) return known
    const counter = this.#requests.labels(model, operation, outcome, errorCode ?? '')
    this.#ended.set(key, counter)
    return counter
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

  /** Metrics whose value is read when somebody asks. */
  #add(metric: Gauge | Counter): void {
    this.#registry.registerMetric(metric)
  }

  #histogram(name: string, help: string, buckets: readonly number[]): Histogram<'model_name'> {
    return new Histogram({ name, help, labelNames: ['model_name'], buckets: [...buckets], registers: [this.#registry] })
  }

  #counter<Label extends string>(name: string, help: string, labelNames: Label[]): Counter<Label> {
    return new Counter({ name, help, labelNames, registers: [this.#registry] })
  }

  /** A gauge whose value for each model is read when somebody asks; unknown values are left out. */
  #gauge(name: string, help: string, read: (model: ModelGauges) => number | undefined): void {
    const models = this.#models
    this.#add(
      new Gauge({
        name,
        help,
        labelNames: ['model_name'],
        registers: [],
        collect() {
          this.reset()
          for (const model of models()) {
            const value = read(model)
            if (value !== undefined) this.set({ model_name: model.name }, value)
          }
        },
      }),
    )
  }

  /** The same for totals that the engine counts. */
  #total(name: string, help: string, read: (model: ModelGauges) => number | undefined): void {
    const models = this.#models
    this.#add(
      new Counter({
        name,
        help,
        labelNames: ['model_name'],
        registers: [],
        collect() {
          this.reset()
          for (const model of models()) {
            const value = read(model)
            if (value !== undefined) this.inc({ model_name: model.name }, value)
          }
        },
      }),
    )
  }

  #modelGauges(): void {
    this.#gauge('vllm:num_requests_running', 'Sequences in the batch', ({ status }) => status.running)
    this.#gauge(
      'vllm:num_requests_waiting',
      'Requests that wait for a place, here and in the engine',
      ({ status, queued }) => status.waiting + queued,
    )
    this.#gauge('vllm:kv_cache_usage_perc', 'Share of KV cells in use, 0 to 1', ({ status }) => status.kvCacheUsage)
    this.#total(
      'vllm:prefix_cache_queries_total',
      'Prompt tokens looked up in the prefix cache',
      ({ status }) => status.prefixCache?.queries,
    )
    this.#total('vllm:prefix_cache_hits_total', 'Prompt tokens found there', ({ status }) => status.prefixCache?.hits)
    this.#total(
      'vllm:num_preemptions_total',
      'Sequences preempted for want of KV cells',
      ({ status }) => status.preemptions,
    )
    this.#gauge('tokenmill_model_ready', 'The model can serve now', ({ status }) => Number(status.state === 'ready'))
    const models = this.#models
    this.#add(
      new Gauge({
        name: 'vllm:cache_config_info',
        help: 'Shape of the KV cache; one block is one cell, a token',
        labelNames: ['model_name', 'block_size', 'num_gpu_blocks'],
        registers: [],
        collect() {
          this.reset()
          for (const { name, status } of models()) {
            if (status.kvCells !== undefined) {
              this.set({ model_name: name, block_size: '1', num_gpu_blocks: String(status.kvCells) }, 1)
            }
          }
        },
      }),
    )
  }

  #processGauges(): void {
    const eventLoop = this.#eventLoop
    this.#add(
      new Gauge({
        name: 'tokenmill_event_loop_delay_seconds',
        help: "How late the server's own loop runs, since the last scrape",
        labelNames: ['quantile'],
        registers: [],
        collect() {
          for (const quantile of [0.5, 0.99, 1]) {
            const seconds = eventLoop.percentile(Math.max(1, quantile * 100)) / 1e9
            this.set({ quantile: String(quantile) }, eventLoop.count === 0 ? 0 : seconds)
          }
          eventLoop.reset()
        },
      }),
    )
    this.#add(
      new Gauge({
        name: 'process_resident_memory_bytes',
        help: 'Resident memory of the server process',
        registers: [],
        collect() {
          this.set(process.memoryUsage.rss())
        },
      }),
    )
    this.#add(
      new Counter({
        name: 'process_cpu_seconds_total',
        help: 'User and system time of the server process',
        registers: [],
        collect() {
          const { user, system } = process.cpuUsage()
          this.reset()
          this.inc((user + system) / 1e6)
        },
      }),
    )
    this.#add(
      new Gauge({
        name: 'process_start_time_seconds',
        help: 'Start of the server process, Unix time',
        registers: [],
        collect() {
          this.set(Math.round(performance.timeOrigin / 1000))
        },
      }),
    )
  }
}
