import type { monitorEventLoopDelay } from 'node:perf_hooks'
import { Counter, Gauge, type Registry } from 'prom-client'
import type { EngineStatus } from '../inference/index.ts'

/** A model as the gauges see it at the moment of a scrape. */
export interface ModelGauges {
  readonly name: string
  readonly status: EngineStatus
  /** Requests that wait here, before the engine. */
  readonly queued: number
}

/** What models say of themselves: read at the scrape, by model; unknown values are left out. */
export function registerModelMetrics(registry: Registry, models: () => readonly ModelGauges[]): void {
  const gauge = (name: string, help: string, read: (model: ModelGauges) => number | undefined): void => {
    registry.registerMetric(
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
  const total = (name: string, help: string, read: (model: ModelGauges) => number | undefined): void => {
    registry.registerMetric(
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
  gauge('vllm:num_requests_running', 'Sequences in the batch', ({ status }) => status.running)
  gauge(
    'vllm:num_requests_waiting',
    'Requests that wait for a place, here and in the engine',
    ({ status, queued }) => status.waiting + queued,
  )
  gauge('vllm:kv_cache_usage_perc', 'Share of KV cells in use, 0 to 1', ({ status }) => status.kvCacheUsage)
  total(
    'vllm:prefix_cache_queries_total',
    'Prompt tokens looked up in the prefix cache',
    ({ status }) => status.prefixCache?.queries,
  )
  total('vllm:prefix_cache_hits_total', 'Prompt tokens found there', ({ status }) => status.prefixCache?.hits)
  total('vllm:num_preemptions_total', 'Sequences preempted for want of KV cells', ({ status }) => status.preemptions)
  gauge('tokenmill_model_ready', 'The model can serve now', ({ status }) => Number(status.state === 'ready'))
  registry.registerMetric(
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

/** What the server process says of itself, read at the scrape. */
export function registerProcessMetrics(
  registry: Registry,
  eventLoop: ReturnType<typeof monitorEventLoopDelay>,
  droppedLogLines: () => number,
): void {
  registry.registerMetric(
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
  const gauge = (name: string, help: string, read: () => number): void => {
    registry.registerMetric(
      new Gauge({
        name,
        help,
        registers: [],
        collect() {
          this.set(read())
        },
      }),
    )
  }
  const total = (name: string, help: string, read: () => number): void => {
    registry.registerMetric(
      new Counter({
        name,
        help,
        registers: [],
        collect() {
          this.reset()
          this.inc(read())
        },
      }),
    )
  }
  gauge('process_resident_memory_bytes', 'Resident memory of the server process', () => process.memoryUsage.rss())
  total('process_cpu_seconds_total', 'User and system time of the server process', () => {
    const { user, system } = process.cpuUsage()
    return (user + system) / 1e6
  })
  gauge('process_start_time_seconds', 'Start of the server process, Unix time', () =>
    Math.round(performance.timeOrigin / 1000),
  )
  total(
    'tokenmill_log_lines_dropped_total',
    'Log lines dropped because their target was full, slow or gone',
    droppedLogLines,
  )
}
