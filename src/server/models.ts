import { TokenmillError } from '../core/index.ts'
import type { Engine } from '../inference/index.ts'
import type { ListedModel } from '../protocol/index.ts'
import type { Admission, FleetEngine } from '../scheduler/index.ts'
import type { ModelGauges } from '../telemetry/index.ts'

/** What a client's model name leads to. */
export interface ModelTarget {
  /** The name clients ask for. */
  readonly name: string
  readonly engine: Engine
  /** The name that the engine knows it by. */
  readonly engineModel: string
  /** The queue in front of the engine; targets of one engine share it. */
  readonly admission: Admission
  /** Another name of a target listed before: not counted again in metrics. */
  readonly alias: boolean
  /** The same engine where it stands for a fleet: its requests can stay bytes. */
  readonly fleet?: FleetEngine
}

/** The names that clients may ask for, and what serves them. */
export class ModelDirectory {
  #targets: ReadonlyMap<string, ModelTarget> = new Map()
  #hasFleets = false
  /** Seconds since the Unix epoch. */
  readonly #created: number

  constructor(targets: readonly ModelTarget[], created: number) {
    this.#created = created
    this.setTargets(targets)
  }

  get targets(): readonly ModelTarget[] {
    return [...this.#targets.values()]
  }

  /** Some model stands for a fleet. */
  get hasFleets(): boolean {
    return this.#hasFleets
  }

  /** Other targets from now on; requests under way keep theirs. */
  setTargets(targets: readonly ModelTarget[]): void {
    this.#targets = new Map(targets.map((target) => [target.name, target]))
    this.#hasFleets = targets.some(({ fleet }) => fleet !== undefined)
  }

  /** The target of a name; of no name, where only one is served. Throws `model_not_found` with the names there are. */
  resolve(name: string | undefined): ModelTarget {
    const target = name === undefined ? this.#only() : this.#targets.get(name)
    if (target !== undefined) return target
    const available = [...this.#targets.keys()]
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
    return [...this.#targets.values()].map((target) => this.#toListed(target))
  }

  /** Throws `model_not_found`. */
  listed(name: string): ListedModel {
    return this.#toListed(this.resolve(name))
  }

  gauges(): readonly ModelGauges[] {
    return [...this.#targets.values()]
      .filter((target) => !target.alias)
      .map(({ name, engine, admission }) => ({ name, status: engine.status(), queued: admission.waiting }))
  }

  #only(): ModelTarget | undefined {
    const unaliased = [...this.#targets.values()].filter((target) => !target.alias)
    return unaliased.length === 1 ? unaliased[0] : undefined
  }

  #toListed(target: ModelTarget): ListedModel {
    const model = target.engine.models().find((each) => each.name === target.engineModel)
    return {
      id: target.name,
      created: this.#created,
      parent: model?.parent,
      root: model?.root ?? target.engineModel,
      contextTokens: model?.contextTokens,
    }
  }
}
