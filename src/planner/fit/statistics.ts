/** The value below which `share` of the values lie, interpolated between neighbours. NaN for none. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b)
  const at = share * (sorted.length - 1)
  const low = sorted[Math.floor(at)]
  const high = sorted[Math.ceil(at)]
  if (low === undefined || high === undefined) return Number.NaN
  return low + (at - Math.floor(at)) * (high - low)
}

export function median(values: readonly number[]): number {
  return quantile(values, 0.5)
}

export function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length
}

/** Spearman's rank correlation, ties at their mean rank. */
export function rankCorrelation(a: readonly number[], b: readonly number[]): number {
  const x = ranks(a)
  const y = ranks(b)
  const middle = (x.length - 1) / 2
  let both = 0
  let xx = 0
  let yy = 0
  x.forEach((rank, index) => {
    const dx = rank - middle
    const dy = (y[index] ?? middle) - middle
    both += dx * dy
    xx += dx * dx
    yy += dy * dy
  })
  return both / Math.sqrt(xx * yy)
}

function ranks(values: readonly number[]): readonly number[] {
  const order = values.map((value, index) => ({ value, index })).sort((a, b) => a.value - b.value)
  const result = Array.from<number>({ length: values.length }).fill(0)
  for (let from = 0; from < order.length;) {
    let to = from
    while (to < order.length && order[to]?.value === order[from]?.value) to += 1
    for (let at = from; at < to; at += 1) result[order[at]?.index ?? 0] = (from + to - 1) / 2
    from = to
  }
  return result
}

/** How far predictions are from measurements: |predicted/measured − 1|. */
export interface Accuracy {
  readonly rows: number
  readonly median: number
  readonly mean: number
  readonly p90: number
  readonly rankCorrelation: number
}

export function accuracyOf(pairs: readonly { readonly predicted: number; readonly measured: number }[]): Accuracy {
  const errors = pairs.map(({ predicted, measured }) => Math.abs(predicted / measured - 1))
  return {
    rows: pairs.length,
    median: median(errors),
    mean: mean(errors),
    p90: quantile(errors, 0.9),
    rankCorrelation: rankCorrelation(
      pairs.map(({ predicted }) => predicted),
      pairs.map(({ measured }) => measured),
    ),
  }
}
