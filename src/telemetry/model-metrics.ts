import type { Registry } from 'prom-client'
import type { UsageRecord } from '../inference/index.ts'
import { gapBuckets, overheadBuckets, requestBuckets, ttftBuckets } from './buckets.ts'
import { CounterFamily, HistogramFamily } from './metric-family.ts'
import type { TokenObserver } from './request-account.ts'

/** What every request is counted and timed in. */
export class RequestFamilies {
  readonly ttft: HistogramFamily
  readonly itl: HistogramFamily
  readonly tpot: HistogramFamily
  readonly e2e: HistogramFamily
  readonly queueTime: HistogramFamily
  readonly overhead: HistogramFamily
  readonly promptTokens: CounterFamily
  readonly generationTokens: CounterFamily
  readonly success: CounterFamily
  readonly requests: CounterFamily

  constructor(registry: Registry) {
    const histogram = (name: string, help: string, bounds: readonly number[]) =>
      new HistogramFamily(registry, { name, help, labelNames: ['model_name'] }, bounds)
    const counter = (name: string, help: string, ...further: readonly string[]) =>
      new CounterFamily(registry, { name, help, labelNames: ['model_name', ...further] })
    this.ttft = histogram('vllm:time_to_first_token_seconds', 'Request received to first token', ttftBuckets)
    this.itl = histogram('vllm:inter_token_latency_seconds', 'Gap between two tokens of a sequence', gapBuckets)
    this.tpot = histogram(
      'vllm:request_time_per_output_token_seconds',
      'Mean time for each output token after the first, by request',
      gapBuckets,
    )
    this.e2e = histogram('vllm:e2e_request_latency_seconds', 'Request received to last byte', requestBuckets)
    this.queueTime = histogram('vllm:request_queue_time_seconds', 'Wait for a place at the engine', requestBuckets)
    this.overhead = histogram(
      'tokenmill_request_overhead_seconds',
      "The server's own share: request received to the engine's call, less the wait in the queue",
      overheadBuckets,
    )
    this.promptTokens = counter('vllm:prompt_tokens_total', 'Prompt tokens of all requests')
    this.generationTokens = counter('vllm:generation_tokens_total', 'Generated tokens')
    this.success = counter('vllm:request_success_total', 'Choices that ended of themselves', 'finished_reason')
    this.requests = counter(
      'tokenmill_requests_total',
      'Requests by how they ended',
      'operation',
      'outcome',
      'error_code',
    )
  }

  ended(model: string, { operation, outcome, errorCode }: UsageRecord): void {
    this.requests.add(this.requests.series(model, operation, outcome, errorCode ?? ''))
  }
}

/** One model's rows in the families, resolved once: counting for it looks no label up. */
export class ModelMetrics implements TokenObserver {
  readonly #model: string
  readonly #families: RequestFamilies
  readonly #ttft: number
  readonly #itl: number
  readonly #tpot: number
  readonly #e2e: number
  readonly #queueTime: number
  readonly #overhead: number
  readonly #promptTokens: number
  readonly #generationTokens: number
  /** By operation: how nearly all requests end. */
  readonly #completed = new Map<string, number>()
  readonly #finished = new Map<string, number>()

  constructor(model: string, families: RequestFamilies) {
    this.#model = model
    this.#families = families
    this.#ttft = families.ttft.series(model)
    this.#itl = families.itl.series(model)
    this.#tpot = families.tpot.series(model)
    this.#e2e = families.e2e.series(model)
    this.#queueTime = families.queueTime.series(model)
    this.#overhead = families.overhead.series(model)
    this.#promptTokens = families.promptTokens.series(model)
    this.#generationTokens = families.generationTokens.series(model)
  }

  firstToken(ttftMs: number): void {
    this.#families.ttft.observe(this.#ttft, ttftMs / 1000)
  }

  gap(gapMs: number): void {
    this.#families.itl.observe(this.#itl, gapMs / 1000)
  }

  /** Our share of a request, once it is at the engine. */
  overhead(overheadMs: number): void {
    this.#families.overhead.observe(this.#overhead, overheadMs / 1000)
  }

  /** A choice ended of itself; `reason` in OpenAI's words. */
  choiceFinished(reason: string): void {
    const { success } = this.#families
    let offset = this.#finished.get(reason)
    if (offset === undefined) {
      offset = success.series(this.#model, reason)
      this.#finished.set(reason, offset)
    }
    success.add(offset)
  }

  /** A request that an endpoint had. */
  record(record: UsageRecord): void {
    const families = this.#families
    families.promptTokens.add(this.#promptTokens, record.promptTokens)
    families.generationTokens.add(this.#generationTokens, record.completionTokens)
    const { admittedAfterMs, tpotMs } = record
    if (admittedAfterMs !== undefined) families.queueTime.observe(this.#queueTime, admittedAfterMs / 1000)
    if (record.outcome !== 'completed') {
      families.ended(this.#model, record)
      return
    }
    let offset = this.#completed.get(record.operation)
    if (offset === undefined) {
      offset = families.requests.series(this.#model, record.operation, 'completed', '')
      this.#completed.set(record.operation, offset)
    }
    families.requests.add(offset)
    families.e2e.observe(this.#e2e, record.durationMs / 1000)
    if (tpotMs !== undefined) families.tpot.observe(this.#tpot, tpotMs / 1000)
  }
}
