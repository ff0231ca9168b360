import { type Deviations, levelKeys, type Priors } from '../timing/coefficient-levels.ts'
import { type CoefficientName, coefficientNames, type Coefficients } from '../timing/coefficients.ts'

/** One row to fit: a function of the coefficients and what was measured. */
export interface FitRow {
  readonly engine: string
  readonly generation: string
  /** Source whose rows may be off by a common factor (other engine version, other meter); undefined: none. */
  readonly offsetKey: string | undefined
  /** Logarithms of predicted over measured, one per observed quantity. */
  readonly residuals: (coefficients: Coefficients) => readonly number[]
  /** Weight of each residual. */
  readonly weights: readonly number[]
}

/** Logarithmic deviations by level key and coefficient; `offset:…` keys hold the sources' factors. */
export interface Estimate {
  readonly deviations: Deviations
  readonly offsets: Readonly<Record<string, number>>
  /** Objective reached, and steps taken. */
  readonly cost: number
  readonly steps: number
}

/** Residuals beyond this count linearly: one broken measurement does not bend the rest (Huber, 1964). */
const huberWidth = 0.15

const offsetSpread = 0.25

/**
 * Maximum a posteriori estimate by Levenberg–Marquardt on the logarithms of the coefficients: Huber loss of the
 * residuals plus the squares of the deviations in units of their spreads. Deterministic: same rows, same numbers.
 */
export function estimate(rows: readonly FitRow[], priors: Priors, maxSteps = 12): Estimate {
  const space = new ParameterSpace(rows, priors)
  const values = new Float64Array(space.size)
  let cost = space.cost(values)
  let damping = 1e-2
  let steps = 0
  for (; steps < maxSteps; steps += 1) {
    const { curvature, gradient } = space.linearise(values)
    let improved = false
    for (let attempt = 0; attempt < 6 && !improved; attempt += 1) {
      const step = solveDamped(curvature, gradient, damping)
      const candidate = values.map((value, index) => value - Math.max(-0.7, Math.min(0.7, step[index] ?? 0)))
      const candidateCost = space.cost(candidate)
      if (candidateCost < cost) {
        improved = cost - candidateCost > 1e-4 * cost
        values.set(candidate)
        cost = candidateCost
        damping = Math.max(damping / 5, 1e-6)
        break
      }
      damping *= 6
    }
    if (!improved) break
  }
  return { ...space.describe(values), cost, steps }
}

/** Which number of the parameter vector is which deviation, and the objective over them. */
class ParameterSpace {
  readonly #rows: readonly FitRow[]
  readonly #priors: Priors
  readonly #index = new Map<string, number>()
  readonly #spreads: number[] = []
  readonly #names: { readonly key: string; readonly name: CoefficientName | undefined }[] = []
  /** For each row, by coefficient: its four parameters. */
  readonly #levels: readonly (readonly (readonly number[])[])[]
  readonly #offsets: readonly (number | undefined)[]

  constructor(rows: readonly FitRow[], priors: Priors) {
    this.#rows = rows
    this.#priors = priors
    this.#levels = rows.map((row) => {
      const [all, engine, generation, pair] = levelKeys(row.engine, row.generation)
      return coefficientNames.map((name) => {
        const { spread } = priors[name]
        return [
          this.#parameter(all, name, spread.all),
          this.#parameter(engine, name, spread.engine),
          this.#parameter(generation, name, spread.generation),
          this.#parameter(pair, name, spread.pair),
        ]
      })
    })
    this.#offsets = rows.map(({ offsetKey }) =>
      offsetKey === undefined ? undefined : this.#parameter(offsetKey, undefined, offsetSpread),
    )
  }

  get size(): number {
    return this.#spreads.length
  }

  #parameter(key: string, name: CoefficientName | undefined, spread: number): number {
    const id = `${key} ${name ?? ''}`
    const known = this.#index.get(id)
    if (known !== undefined) return known
    this.#index.set(id, this.#spreads.length)
    this.#names.push({ key, name })
    return this.#spreads.push(spread) - 1
  }

  #coefficients(row: number, values: Float64Array): Record<CoefficientName, number> {
    const result: Partial<Record<CoefficientName, number>> = {}
    coefficientNames.forEach((name, k) => {
      let exponent = 0
      for (const parameter of this.#levels[row]?.[k] ?? []) exponent += values[parameter] ?? 0
      result[name] = this.#priors[name].value * Math.exp(exponent)
    })
    return result as Record<CoefficientName, number>
  }

  #offset(row: number, values: Float64Array): number {
    const parameter = this.#offsets[row]
    return parameter === undefined ? 0 : (values[parameter] ?? 0)
  }

  cost(values: Float64Array): number {
    let cost = 0
    this.#rows.forEach((row, index) => {
      const offset = this.#offset(index, values)
      row.residuals(this.#coefficients(index, values)).forEach((residual, o) => {
        const error = Math.abs(residual - offset)
        const loss = error < huberWidth ? 0.5 * error * error : huberWidth * (error - 0.5 * huberWidth)
        cost += ((row.weights[o] ?? 1) * loss) / huberWidth ** 2
      })
    })
    values.forEach((value, index) => {
      cost += 0.5 * (value / (this.#spreads[index] ?? 1)) ** 2
    })
    return cost
  }

  /** Gauss–Newton curvature and gradient, with derivatives by forward differences per coefficient. */
  linearise(values: Float64Array): { readonly curvature: Float64Array[]; readonly gradient: Float64Array } {
    const curvature = Array.from({ length: this.size }, () => new Float64Array(this.size))
    const gradient = new Float64Array(this.size)
    const add = (a: number, b: number, amount: number) => {
      const row = curvature[a]
      if (row !== undefined) row[b] = (row[b] ?? 0) + amount
    }
    const step = 1e-4
    this.#rows.forEach((row, index) => {
      const base = this.#coefficients(index, values)
      const residuals = row.residuals(base)
      const moved = coefficientNames.map((name) => row.residuals({ ...base, [name]: base[name] * Math.exp(step) }))
      const offset = this.#offset(index, values)
      const levels = this.#levels[index] ?? []
      const offsetParameter = this.#offsets[index]
      residuals.forEach((residual, o) => {
        const error = residual - offset
        const weight =
          ((row.weights[o] ?? 1) * (Math.abs(error) < huberWidth ? 1 : huberWidth / Math.abs(error))) / huberWidth ** 2
        // The parameters that this residual depends on, with their derivatives.
        const parameters: number[] = []
        const slopes: number[] = []
        levels.forEach((ofCoefficient, k) => {
          const slope = ((moved[k]?.[o] ?? 0) - residual) / step
          if (Math.abs(slope) < 1e-6) return
          for (const parameter of ofCoefficient) {
            parameters.push(parameter)
            slopes.push(slope)
          }
        })
        if (offsetParameter !== undefined) {
          parameters.push(offsetParameter)
          slopes.push(-1)
        }
        parameters.forEach((a, i) => {
          const scaled = weight * (slopes[i] ?? 0)
          gradient[a] = (gradient[a] ?? 0) + scaled * error
          parameters.forEach((b, j) => add(a, b, scaled * (slopes[j] ?? 0)))
        })
      })
    })
    values.forEach((value, index) => {
      const precision = 1 / (this.#spreads[index] ?? 1) ** 2
      add(index, index, precision)
      gradient[index] = (gradient[index] ?? 0) + precision * value
    })
    return { curvature, gradient }
  }

  describe(values: Float64Array): Pick<Estimate, 'deviations' | 'offsets'> {
    const deviations: Record<string, Partial<Record<CoefficientName, number>>> = {}
    const offsets: Record<string, number> = {}
    this.#names.forEach(({ key, name }, index) => {
      const value = Number((values[index] ?? 0).toPrecision(5))
      if (name === undefined) offsets[key] = value
      else if (value !== 0) (deviations[key] ??= {})[name] = value
    })
    return { deviations, offsets }
  }
}

/** Solves (A + damping·diag A)·x = b by Cholesky decomposition; A is symmetric and positive definite. */
export function solveDamped(a: readonly Float64Array[], b: Float64Array, damping: number): Float64Array {
  const size = b.length
  const lower = a.map((row) => row.slice())
  const at = (i: number, j: number) => lower[i]?.[j] ?? 0
  for (let j = 0; j < size; j += 1) {
    const rowJ = lower[j] ?? new Float64Array(0)
    let pivot = at(j, j) * (1 + damping)
    for (let k = 0; k < j; k += 1) pivot -= (rowJ[k] ?? 0) ** 2
    const root = Math.sqrt(Math.max(pivot, 1e-12))
    rowJ[j] = root
    for (let i = j + 1; i < size; i += 1) {
      const rowI = lower[i] ?? new Float64Array(0)
      let sum = rowI[j] ?? 0
      for (let k = 0; k < j; k += 1) sum -= (rowI[k] ?? 0) * (rowJ[k] ?? 0)
      rowI[j] = sum / root
    }
  }
  const forward = new Float64Array(size)
  for (let i = 0; i < size; i += 1) {
    let sum = b[i] ?? 0
    for (let k = 0; k < i; k += 1) sum -= at(i, k) * (forward[k] ?? 0)
    forward[i] = sum / at(i, i)
  }
  const solution = new Float64Array(size)
  for (let i = size - 1; i >= 0; i -= 1) {
    let sum = forward[i] ?? 0
    for (let k = i + 1; k < size; k += 1) sum -= at(k, i) * (solution[k] ?? 0)
    solution[i] = sum / at(i, i)
  }
  return solution
}
