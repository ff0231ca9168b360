import type { Clock } from '../../core/index.ts'
import { fetchText } from '../fetch-text.ts'

/** What engines tell about themselves, whatever they call it. Undefined: this engine does not say. */
export interface ServerSample {
  /** Ms since the start of the run. */
  readonly atMs: number
  readonly running: number | undefined
  readonly waiting: number | undefined
  /** Share of KV cells in use, 0 to 1. */
  readonly kvCacheUsage: number | undefined
  /** Total since the server started. */
  readonly preemptions: number | undefined
  readonly prefixQueries: number | undefined
  readonly prefixHits: number | undefined
}

/** Metric names by quantity: Tokenmill, vLLM, SGLang, llama-server, TensorRT-LLM's Triton, TGI. */
const names: Readonly<Record<Exclude<keyof ServerSample, 'atMs'>, readonly string[]>> = {
  running: [
    'tokenmill_requests_running',
    'tokenmill_engine_running',
    'vllm:num_requests_running',
    'sglang:num_running_reqs',
    'llamacpp:requests_processing',
    'tgi_batch_current_size',
  ],
  waiting: [
    'tokenmill_requests_waiting',
    'tokenmill_engine_waiting',
    'vllm:num_requests_waiting',
    'sglang:num_queue_reqs',
    'llamacpp:requests_deferred',
    'tgi_queue_size',
  ],
  kvCacheUsage: [
    'tokenmill_kv_cache_usage',
    'tokenmill_engine_kv_cache_usage',
    'vllm:kv_cache_usage_perc',
    'vllm:gpu_cache_usage_perc',
    'sglang:token_usage',
    'llamacpp:kv_cache_usage_ratio',
  ],
  preemptions: ['tokenmill_preemptions_total', 'tokenmill_engine_preemptions_total', 'vllm:num_preemptions_total'],
  prefixQueries: [
    'tokenmill_prefix_cache_queries_total',
    'vllm:prefix_cache_queries_total',
    'vllm:gpu_prefix_cache_queries_total',
  ],
  prefixHits: ['tokenmill_prefix_cache_hits_total', 'vllm:prefix_cache_hits_total', 'vllm:gpu_prefix_cache_hits_total'],
}

/** Reads Prometheus text: each sample's name, its labels dropped, with the values of equal names summed. */
export function parsePrometheus(text: string): Map<string, number> {
  const sums = new Map<string, number>()
  for (const line of text.split('\n')) {
    const match = /^([a-zA-Z_:][\w:]*)(?:\{.*\})?\s+([^\s]+)/.exec(line)
    const value = Number(match?.[2])
    if (match?.[1] === undefined || Number.isNaN(value)) continue
    sums.set(match[1], (sums.get(match[1]) ?? 0) + value)
  }
  return sums
}

export function toServerSample(text: string, atMs: number): ServerSample {
  const sums = parsePrometheus(text)
  const find = (key: keyof typeof names): number | undefined => {
    const name = names[key].find((each) => sums.has(each))
    return name === undefined ? undefined : sums.get(name)
  }
  return {
    atMs,
    running: find('running'),
    waiting: find('waiting'),
    kvCacheUsage: find('kvCacheUsage'),
    preemptions: find('preemptions'),
    prefixQueries: find('prefixQueries'),
    prefixHits: find('prefixHits'),
  }
}

/** Samples kept; beyond it every second one is dropped and the pace halves. */
const maximumSamples = 600

/** Scrapes a server's metrics beside a run, gently, and keeps a bounded number of samples. */
export class ServerWatch {
  readonly #url: string
  readonly #headers: Readonly<Record<string, string>>
  readonly #nowMs: () => number
  #periodMs: number
  #samples: ServerSample[] = []
  readonly #clock: Clock
  #cancelNext: () => void = () => {}
  readonly #stop = new AbortController()
  /** Why there are no samples; undefined while there are. */
  problem: string | undefined

  /** `nowMs` counts from the start of the run. */
  constructor(
    url: string,
    headers: Readonly<Record<string, string>>,
    nowMs: () => number,
    periodMs: number,
    clock: Clock,
  ) {
    this.#url = url
    this.#clock = clock
    this.#headers = headers
    this.#nowMs = nowMs
    this.#periodMs = periodMs
  }

  get samples(): readonly ServerSample[] {
    return this.#samples
  }

  start(): void {
    const tick = async (): Promise<void> => {
      await this.#scrape()
      if (!this.#stop.signal.aborted) this.#cancelNext = this.#clock.schedule(this.#periodMs, () => void tick())
    }
    void tick()
  }

  stop(): void {
    this.#stop.abort()
    this.#cancelNext()
  }

  async #scrape(): Promise<void> {
    try {
      const { signal: stop } = this.#stop
      const { status, text } = await fetchText(this.#url, {
        headers: this.#headers,
        limitMs: 5_000,
        clock: this.#clock,
        stop,
      })
      if (status !== 200) throw new Error(`status ${status}`)
      const sample = toServerSample(text, this.#nowMs())
      if (Object.values(sample).filter((value) => value !== undefined).length === 1)
        throw new Error('no metric that is known')
      this.#samples.push(sample)
      this.problem = undefined
    } catch (error) {
      if (this.#samples.length === 0 && !this.#stop.signal.aborted)
        this.problem = `${this.#url}: ${error instanceof Error ? error.message : String(error)}`
    }
    if (this.#samples.length <= maximumSamples) return
    this.#samples = this.#samples.filter((_, index) => index % 2 === 0)
    this.#periodMs *= 2
  }
}
