import type { Metric, Registry } from 'prom-client'

/**
 * Most label sets of one family. Labels are models, endpoints, operations and codes: the configuration bounds them, and
 * this bounds what many reloads add up to. A scrape of so many lines is a megabyte.
 */
const maxSeries = 10_000

type Labels = Readonly<Record<string, string | number>>

/** One line of a scrape, as prom-client's registry takes it. */
interface Sample {
  readonly metricName?: string
  readonly labels: Labels
  readonly value: number
}

/**
 * One metric with all its label sets. A label set is resolved once to the offset of its row; counting is then an addition
 * in one typed array, which the registry reads at the scrape. (prom-client's own metrics look the label set up for every
 * count, which costs a microsecond.)
 *
 *   values:  │ row of ['nano'] │ row of ['llama'] │ … room for more
 *   rows:     'nano' → 0        'llama' → width
 */
abstract class MetricFamily {
  protected values: Float64Array
  readonly #width: number
  readonly #labelNames: readonly string[]
  readonly #labels: Labels[] = []
  readonly #offsets = new Map<string, number>()
  #overflow: number | undefined

  constructor(registry: Registry, description: MetricDescription, type: 'counter' | 'histogram', width: number) {
    this.#width = width
    this.#labelNames = description.labelNames
    this.values = new Float64Array(8 * width)
    const { name, help } = description
    // A registry asks no more of a metric than its name and, at the scrape, its samples.
    const metric = {
      name,
      get: async () => await Promise.resolve({ name, help, type, aggregator: 'sum', values: this.#samples() }),
    }
    registry.registerMetric(metric as unknown as Metric)
  }

  /** The offset of a label set's row. Beyond the bound, all further sets share one row whose labels are `other`. */
  series(...labels: readonly string[]): number {
    const key = labels.join('\0')
    const known = this.#offsets.get(key)
    if (known !== undefined) return known
    if (this.#labels.length >= maxSeries) return (this.#overflow ??= this.#add(this.#labelNames.map(() => 'other')))
    const offset = this.#add(labels)
    this.#offsets.set(key, offset)
    return offset
  }

  #add(labels: readonly string[]): number {
    const row = this.#labels.push(Object.fromEntries(this.#labelNames.map((name, at) => [name, labels[at] ?? '']))) - 1
    const offset = row * this.#width
    if (offset + this.#width > this.values.length) {
      const grown = new Float64Array(this.values.length * 2)
      grown.set(this.values)
      this.values = grown
    }
    return offset
  }

  #samples(): Sample[] {
    return this.#labels.flatMap((labels, row) => this.rowSamples(row * this.#width, labels))
  }

  protected abstract rowSamples(offset: number, labels: Labels): Sample[]
}

export interface MetricDescription {
  readonly name: string
  readonly help: string
  readonly labelNames: readonly string[]
}

/** A row is one number. */
export class CounterFamily extends MetricFamily {
  constructor(registry: Registry, description: MetricDescription) {
    super(registry, description, 'counter', 1)
  }

  add(offset: number, value = 1): void {
    this.values[offset] = (this.values[offset] ?? 0) + value
  }

  protected override rowSamples(offset: number, labels: Labels): Sample[] {
    return [{ labels, value: this.values[offset] ?? 0 }]
  }
}

/**
 * Buckets are cumulative only at the scrape.
 *
 *   row:  │ count ≤ bounds[0] │ … │ count ≤ bounds[n−1] │ count above │ sum │
 */
export class HistogramFamily extends MetricFamily {
  readonly #name: string
  readonly #bounds: Float64Array

  constructor(registry: Registry, description: MetricDescription, bounds: readonly number[]) {
    super(registry, description, 'histogram', bounds.length + 2)
    this.#name = description.name
    this.#bounds = Float64Array.from(bounds)
  }

  observe(offset: number, value: number): void {
    const bounds = this.#bounds
    const { length } = bounds
    let bucket = 0
    while (bucket < length && value > (bounds[bucket] ?? 0)) bucket += 1
    const { values } = this
    values[offset + bucket] = (values[offset + bucket] ?? 0) + 1
    values[offset + length + 1] = (values[offset + length + 1] ?? 0) + value
  }

  protected override rowSamples(offset: number, labels: Labels): Sample[] {
    const samples: Sample[] = []
    let count = 0
    const bucket = (le: number | string): void => {
      samples.push({ metricName: `${this.#name}_bucket`, labels: { le, ...labels }, value: count })
    }
    this.#bounds.forEach((bound, index) => {
      count += this.values[offset + index] ?? 0
      bucket(bound)
    })
    count += this.values[offset + this.#bounds.length] ?? 0
    // A model that nobody has asked has no histogram yet.
    if (count === 0) return []
    bucket('+Inf')
    const sum = this.values[offset + this.#bounds.length + 1] ?? 0
    samples.push({ metricName: `${this.#name}_sum`, labels, value: sum })
    samples.push({ metricName: `${this.#name}_count`, labels, value: count })
    return samples
  }
}
