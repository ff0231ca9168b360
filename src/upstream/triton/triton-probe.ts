import { TokenmillError, type Clock } from '../../core/index.ts'
import type { EngineLoad } from '../dialect.ts'
import { noLoad } from '../dialect.ts'
import type { EndpointProbe } from '../endpoint-watch.ts'
import { EndpointHttp } from '../http.ts'
import { meanOf, readSamples, sumOf } from '../metrics-text.ts'
import type { TritonDialect } from './dialect.ts'
import { tritonDialectOf } from './dialects/index.ts'
import type { TritonSettings } from './settings.ts'
import type { TritonModel, TritonTransport } from './transport.ts'

/** A model that generates text, and how it is asked. */
export interface ServedModel {
  readonly model: TritonModel
  readonly dialect: TritonDialect
}

/** Looks at a Triton server: which of its models generate text, whether they are loaded, and how busy it is. */
export class TritonProbe implements EndpointProbe {
  readonly name: string
  load: EngineLoad = noLoad
  /** By name. Those that can be asked now. */
  served: ReadonlyMap<string, ServedModel> = new Map()
  readonly #transport: TritonTransport
  readonly #settings: TritonSettings
  readonly #clock: Clock
  /** The metrics page stands at an address of its own. */
  readonly #metrics: EndpointHttp | undefined
  readonly #metricsPath: string
  #loadReadMs: number | undefined
  /** What was READY when the models were described; they are described anew when that changes. */
  #known = ''
  /** We had Triton load the model. */
  loadedHere = false

  constructor(transport: TritonTransport, settings: TritonSettings, clock: Clock) {
    this.name = transport.name
    this.#transport = transport
    this.#settings = settings
    this.#clock = clock
    const { metricsUrl } = settings
    if (metricsUrl === undefined) {
      this.#metricsPath = ''
      return
    }
    const { pathname, origin } = new URL(metricsUrl)
    // The model's credentials are not the metrics page's.
    this.#metrics = new EndpointHttp({
      ...settings,
      engine: 'auto',
      url: origin,
      apiKey: undefined,
      headers: {},
      tls: undefined,
    })
    this.#metricsPath = pathname === '/' ? '/metrics' : pathname
  }

  get readsLoad(): boolean {
    return this.#metrics !== undefined
  }

  get loadAgeMs(): number | undefined {
    return this.#loadReadMs === undefined ? undefined : this.#clock.now() - this.#loadReadMs
  }

  async look(signal: AbortSignal): Promise<void> {
    await this.#transport.live(signal)
    await this.#readModels(signal)
    await this.#readLoad(signal)
  }

  failed(): void {
    this.#known = ''
  }

  async close(): Promise<void> {
    await this.#metrics?.close()
  }

  async #readModels(signal: AbortSignal): Promise<void> {
    const candidates = await this.#candidates(signal)
    const known = JSON.stringify(candidates)
    if (known !== this.#known) {
      const models = await Promise.all(candidates.map((name) => this.#transport.describe(name, signal)))
      const served = models.flatMap((model) => {
        const dialect = tritonDialectOf(model)
        return dialect === undefined ? [] : [[model.name, { model, dialect }] as const]
      })
      this.served = new Map(served)
      this.#known = known
    }
    if (this.served.size > 0) return
    const { model: wanted } = this.#settings
    const message =
      wanted === undefined
        ? `The Triton server ${this.name} has no model that generates text (ready: ${candidates.join(', ') || 'none'}).`
        : candidates.length === 0
          ? `The Triton model '${wanted}' at ${this.name} is not ready.`
          : `The Triton model '${wanted}' at ${this.name} has not the inputs of any known way to generate text.`
    throw new TokenmillError('unavailable', message, { endpoint: this.name })
  }

  /**
   * The model that is wanted, if it is ready, else all that are. The repository's index is asked for only where no
   * model is named: servers may keep it to themselves.
   */
  async #candidates(signal: AbortSignal): Promise<string[]> {
    const { model: wanted, repository } = this.#settings
    if (wanted === undefined) {
      const entries = await this.#transport.index(signal)
      return [...new Set(entries.flatMap(({ name, state }) => (state === 'READY' ? [name] : [])))]
    }
    if (await this.#transport.isReady(wanted, signal)) return [wanted]
    if (repository === 'none') return []
    // Loading may take minutes: it goes on over there when this check runs out of time.
    await this.#transport.load(wanted, signal)
    this.loadedHere = true
    return (await this.#transport.isReady(wanted, signal)) ? [wanted] : []
  }

  async #readLoad(signal: AbortSignal): Promise<void> {
    if (this.#metrics === undefined) return
    const answer = await this.#metrics.fetch({ method: 'GET', path: this.#metricsPath }, signal)
    if (answer.status !== 200) return
    this.load = readTritonLoad(answer.body)
    this.#loadReadMs = this.#clock.now()
  }
}

/** What TensorRT-LLM or vLLM tells on Triton's page; else Triton's own count of requests that wait. */
function readTritonLoad(page: Buffer): EngineLoad {
  const labelled = (metric: string, label: string, value: string): number | undefined =>
    readSamples(page, metric).find(({ labels }) => labels[label] === value)?.value
  const scheduled = labelled('nv_trt_llm_request_metrics', 'request_type', 'scheduled')
  return {
    running: scheduled ?? sumOf(page, 'vllm:num_requests_running'),
    waiting:
      labelled('nv_trt_llm_request_metrics', 'request_type', 'waiting') ??
      sumOf(page, 'vllm:num_requests_waiting', 'nv_inference_pending_request_count'),
    kvCacheUsage:
      labelled('nv_trt_llm_kv_cache_block_metrics', 'kv_cache_block_type', 'fraction') ??
      meanOf(page, 'vllm:kv_cache_usage_perc', 'vllm:gpu_cache_usage_perc'),
    prefixCache: undefined,
    preemptions: undefined,
  }
}
