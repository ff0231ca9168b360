import { TokenmillError } from '../core/index.ts'
import type { ListedModel } from '../protocol/index.ts'
import { modelOf, statusOf, type ModelPool, type ModelRoute } from '../scheduler/index.ts'
import type { EndpointGauges, ModelGauges } from '../telemetry/index.ts'

/** The names that clients may ask for, and the pools that serve them. */
export class Routes {
  #routes: ReadonlyMap<string, ModelRoute> = new Map()
  #relayBytes = false
  /** Seconds since the Unix epoch. */
  readonly #created: number

  constructor(created: number) {
    this.#created = created
  }

  /** Other routes from now on; requests under way keep theirs. */
  set(routes: readonly ModelRoute[]): void {
    this.#routes = new Map(routes.map((route) => [route.name, route]))
    this.#relayBytes = this.pools.some(relaysBytes)
  }

  /** Some engine takes requests as bytes: then it is worth scanning them before they are parsed. */
  get relayBytes(): boolean {
    return this.#relayBytes
  }

  /** Each pool once. */
  get pools(): readonly ModelPool[] {
    return this.#unaliased.map(({ pool }) => pool)
  }

  find(name: string): ModelRoute | undefined {
    return this.#routes.get(name)
  }

  /** The route of a name; of no name, where only one model is served. Throws `model_not_found` with the names there are. */
  resolve(name: string | undefined): ModelRoute {
    const route = name === undefined ? this.#only() : this.#routes.get(name)
    if (route !== undefined) return route
    const available = [...this.#routes.keys()]
    const list = available.join(', ') || 'none'
    if (name === undefined) {
      throw new TokenmillError('invalid_request', `model is missing; it must be one of: ${list}.`, {
        param: 'model',
        available,
      })
    }
    const asked = JSON.stringify(name.length > 128 ? `${name.slice(0, 128)}…` : name)
    throw new TokenmillError('model_not_found', `The model ${asked} is not served here. Served: ${list}.`, {
      param: 'model',
      available,
    })
  }

  list(): readonly ListedModel[] {
    return [...this.#routes.values()].map((route) => this.#toListed(route))
  }

  /** Throws `model_not_found`. */
  listed(name: string): ListedModel {
    return this.#toListed(this.resolve(name))
  }

  modelGauges(): readonly ModelGauges[] {
    return this.#unaliased.map(({ name, pool }) => ({ name, status: statusOf(pool), queued: pool.admission.waiting }))
  }

  /** Each replica of each model, as metrics show it. */
  endpointGauges(): readonly EndpointGauges[] {
    return this.#unaliased.flatMap(({ name, pool }) =>
      pool.replicas.map((replica) => ({
        model: name,
        endpoint: replica.id,
        inFlight: replica.inFlight,
        breaker: replica.breaker.state,
        status: replica.engine.status(),
      })),
    )
  }

  get #unaliased(): readonly ModelRoute[] {
    return [...this.#routes.values()].filter(({ alias }) => !alias)
  }

  #only(): ModelRoute | undefined {
    const unaliased = this.#unaliased
    return unaliased.length === 1 ? unaliased[0] : undefined
  }

  #toListed(route: ModelRoute): ListedModel {
    const { name, parent, root, contextTokens } = modelOf(route)
    return { id: name, created: this.#created, parent, root, contextTokens }
  }
}

/** Some replica's engine takes requests as bytes. */
export function relaysBytes({ replicas }: ModelPool): boolean {
  return replicas.some(({ engine }) => engine.relay !== undefined)
}
