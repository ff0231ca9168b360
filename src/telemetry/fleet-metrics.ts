import { Gauge, type Registry } from 'prom-client'
import type { TokenmillError } from '../core/index.ts'
import { outcomeOf, type EngineStatus } from '../inference/index.ts'
import { CounterFamily } from './metric-family.ts'

/** An endpoint of a model as the gauges see it at the moment of a scrape. */
export interface EndpointGauges {
  readonly model: string
  readonly endpoint: string
  /** Requests from here that it works on. */
  readonly inFlight: number
  readonly breaker: 'closed' | 'open' | 'half-open'
  readonly status: EngineStatus
}

type Read = (endpoint: EndpointGauges) => number | undefined

/** Metrics of a fleet, by model and endpoint. Gauges are read at the scrape; what an engine does not tell is left out. */
export class FleetMetrics {
  readonly #attempts: CounterFamily

  constructor(registry: Registry, endpoints: () => readonly EndpointGauges[]) {
    this.#attempts = new CounterFamily(registry, {
      name: 'tokenmill_endpoint_attempts_total',
      help: 'Attempts of requests on endpoints, by how they ended; more attempts than requests are retries',
      labelNames: ['model_name', 'endpoint', 'outcome'],
    })
    const gauges: readonly (readonly [name: string, help: string, read: Read])[] = [
      ['up', 'It can serve, by its health checks', ({ status }) => Number(status.state === 'ready')],
      ['in_flight', 'Requests from here that it works on, counted at dispatch', ({ inFlight }) => inFlight],
      ['breaker_open', 'Ejected for its failures: 1 open, 0.5 on trial', ({ breaker }) => breakerValue[breaker]],
      ['requests_running', 'Requests that it decodes, by its own word', ({ status }) => status.running],
      ['requests_waiting', 'Requests in its queue, by its own word', ({ status }) => status.waiting],
      ['kv_cache_usage_ratio', 'Share of its KV cache in use', ({ status }) => status.kvCacheUsage],
      [
        'load_age_seconds',
        'Age of what it told last',
        ({ status }) => (status.ageMs === undefined ? undefined : status.ageMs / 1000),
      ],
    ]
    for (const [name, help, read] of gauges) {
      registry.registerMetric(
        new Gauge({
          name: `tokenmill_endpoint_${name}`,
          help,
          labelNames: ['model_name', 'endpoint'],
          registers: [],
          collect() {
            this.reset()
            for (const endpoint of endpoints()) {
              const value = read(endpoint)
              if (value !== undefined) this.set({ model_name: endpoint.model, endpoint: endpoint.endpoint }, value)
            }
          },
        }),
      )
    }
  }

  attemptEnded(model: string, endpoint: string, error: TokenmillError | undefined): void {
    const outcome = error === undefined ? 'completed' : outcomeOf(error)
    this.#attempts.add(this.#attempts.series(model, endpoint, outcome))
  }
}

const breakerValue = { closed: 0, 'half-open': 0.5, open: 1 } as const
