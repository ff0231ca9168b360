import { type CoefficientName, coefficientNames, type Coefficients } from './coefficients.ts'

/**
 * How a coefficient may vary: its value before any data (`prior`), and how far, as a standard deviation of its
 * logarithm, all data together may move it, then each engine, each GPU generation, and each pair of both. The
 * narrower the later ones, the more an engine without rows of its own borrows from the others.
 */
export interface CoefficientPrior {
  readonly value: number
  readonly spread: { readonly all: number; readonly engine: number; readonly generation: number; readonly pair: number }
}

/** The levels at which a coefficient deviates, for a row of this engine and generation. */
export function levelKeys(engine: string, generation: string): readonly [string, string, string, string] {
  return ['all', `engine:${engine}`, `generation:${generation}`, `pair:${engine}/${generation}`]
}

export type Priors = Readonly<Record<CoefficientName, CoefficientPrior>>

/** Logarithmic deviations by level key and coefficient. */
export type Deviations = Readonly<Record<string, Readonly<Partial<Record<CoefficientName, number>>>>>

/** The coefficients of an engine on a GPU generation: the prior times e to the sum of its levels' deviations. */
export function coefficientsOf(
  priors: Priors,
  deviations: Deviations,
  engine: string,
  generation: string,
): Coefficients {
  const keys = levelKeys(engine, generation)
  const result: Partial<Record<CoefficientName, number>> = {}
  for (const name of coefficientNames) {
    let exponent = 0
    for (const key of keys) exponent += deviations[key]?.[name] ?? 0
    result[name] = priors[name].value * Math.exp(exponent)
  }
  return result as Coefficients
}
