/** Ratio of neighbouring bucket bounds: a value is known to ±0.1 %. */
const defaultGrowth = 1.002
/** Values up to this count as zero. In milliseconds, a tenth of a microsecond. */
const smallest = 1e-4

/**
 * A histogram of non-negative numbers with logarithmic buckets, of bounded memory however many it has seen: a
 * bucket from b to b·growth stands for every value in it, so that a quantile is off by at most (√growth − 1),
 * 0.1 % by default. Count, sum, least and greatest are exact. Histograms of equal growth merge without loss.
 */
export class LogHistogram {
  readonly growth: number
  readonly #logGrowth: number
  /** Bucket number → count. Bucket k holds (smallest·growth^k, smallest·growth^(k+1)]; −1 holds zeros. */
  readonly #buckets = new Map<number, number>()
  #count = 0
  #sum = 0
  #sumOfSquares = 0
  #least = Infinity
  #greatest = -Infinity

  constructor(growth = defaultGrowth) {
    this.growth = growth
    this.#logGrowth = Math.log(growth)
  }

  get count(): number {
    return this.#count
  }

  get sum(): number {
    return this.#sum
  }

  /** NaN when empty, as every statistic of nothing. */
  get mean(): number {
    return this.#sum / this.#count
  }

  /** Of the sample (divided by n − 1). */
  get standardDeviation(): number {
    const variance = (this.#sumOfSquares - (this.#sum * this.#sum) / this.#count) / (this.#count - 1)
    return Math.sqrt(Math.max(0, variance))
  }

  get least(): number {
    return this.#count === 0 ? Number.NaN : this.#least
  }

  get greatest(): number {
    return this.#count === 0 ? Number.NaN : this.#greatest
  }

  /** Adds a value `times` times. Negative values count as zero. */
  record(value: number, times = 1): void {
    if (!(times > 0) || Number.isNaN(value)) return
    const bucket = value <= smallest ? -1 : Math.ceil(Math.log(value / smallest) / this.#logGrowth) - 1
    this.#buckets.set(bucket, (this.#buckets.get(bucket) ?? 0) + times)
    this.#count += times
    this.#sum += value * times
    this.#sumOfSquares += value * value * times
    if (value < this.#least) this.#least = value
    if (value > this.#greatest) this.#greatest = value
  }

  /**
   * The q-quantile, 0 ≤ q ≤ 1: linear interpolation between the order statistics around rank q·(n − 1), as
   * NumPy's default, each known to its bucket. NaN when empty.
   */
  quantile(q: number): number {
    return this.quantiles([q])[0] ?? Number.NaN
  }

  quantiles(qs: readonly number[]): number[] {
    if (this.#count === 0) return qs.map(() => Number.NaN)
    const sorted = [...this.#buckets].toSorted((a, b) => a[0] - b[0])
    return qs.map((q) => {
      const rank = q * (this.#count - 1)
      const low = this.#valueAtRank(sorted, Math.floor(rank))
      const high = this.#valueAtRank(sorted, Math.ceil(rank))
      return low + (high - low) * (rank - Math.floor(rank))
    })
  }

  merge(other: LogHistogram): void {
    if (other.growth !== this.growth) throw new RangeError('Histograms of different growth do not merge.')
    for (const [bucket, count] of other.#buckets) this.#buckets.set(bucket, (this.#buckets.get(bucket) ?? 0) + count)
    this.#count += other.#count
    this.#sum += other.#sum
    this.#sumOfSquares += other.#sumOfSquares
    this.#least = Math.min(this.#least, other.#least)
    this.#greatest = Math.max(this.#greatest, other.#greatest)
  }

  /** Share of values up to each bucket's upper bound, in order: the points of a cumulative plot. */
  cumulative(): { readonly value: number; readonly share: number }[] {
    let seen = 0
    return [...this.#buckets]
      .toSorted((a, b) => a[0] - b[0])
      .map(([bucket, count]) => {
        seen += count
        return { value: this.#midpoint(bucket), share: seen / this.#count }
      })
  }

  /** As plain data, to be stored and read back by `fromJSON`. */
  toJSON(): HistogramData {
    const sorted = [...this.#buckets].toSorted((a, b) => a[0] - b[0])
    return {
      growth: this.growth,
      sum: this.#sum,
      sumOfSquares: this.#sumOfSquares,
      least: this.#count === 0 ? null : this.#least,
      greatest: this.#count === 0 ? null : this.#greatest,
      buckets: sorted.map(([bucket]) => bucket),
      counts: sorted.map(([, count]) => count),
    }
  }

  static fromJSON(data: HistogramData): LogHistogram {
    const histogram = new LogHistogram(data.growth)
    for (const [index, bucket] of data.buckets.entries()) {
      const count = data.counts[index] ?? 0
      histogram.#buckets.set(bucket, count)
      histogram.#count += count
    }
    histogram.#sum = data.sum
    histogram.#sumOfSquares = data.sumOfSquares
    histogram.#least = data.least ?? Infinity
    histogram.#greatest = data.greatest ?? -Infinity
    return histogram
  }

  #valueAtRank(sorted: readonly (readonly [number, number])[], rank: number): number {
    if (rank <= 0) return this.#least
    if (rank >= this.#count - 1) return this.#greatest
    let seen = 0
    for (const [bucket, count] of sorted) {
      seen += count
      if (rank < seen) return Math.min(this.#greatest, Math.max(this.#least, this.#midpoint(bucket)))
    }
    return this.#greatest
  }

  /** Geometric middle: the value with the least relative error to both bounds. */
  #midpoint(bucket: number): number {
    return bucket < 0 ? 0 : smallest * this.growth ** (bucket + 0.5)
  }
}

export interface HistogramData {
  readonly growth: number
  readonly sum: number
  readonly sumOfSquares: number
  readonly least: number | null
  readonly greatest: number | null
  readonly buckets: readonly number[]
  readonly counts: readonly number[]
}
