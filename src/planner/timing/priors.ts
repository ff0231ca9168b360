import type { CoefficientPrior, Priors } from './coefficient-levels.ts'

function prior(value: number, all: number, engine: number, generation: number, pair: number): CoefficientPrior {
  return { value, spread: { all, engine, generation, pair } }
}

/**
 * What an engineer expects before any measurement, and how far the measurements may move it. Reads of dense
 * weights come close to peak bandwidth; experts and cache less; a kernel costs some microseconds; prefill reaches
 * a half to two thirds of peak. Units are those of `Coefficients`.
 */
export const priors: Priors = {
  step: prior(1, 0.5, 0.4, 0.3, 0.2),
  kernel: prior(0.003, 0.3, 0.2, 0.2, 0.1),
  moeLayer: prior(0.01, 0.5, 0.3, 0.25, 0.15),
  collective: prior(0.01, 0.5, 0.3, 0.25, 0.15),
  denseRead: prior(1.2, 0.2, 0.12, 0.12, 0.08),
  routedRead: prior(1.3, 0.2, 0.12, 0.12, 0.08),
  cacheRead: prior(1.4, 0.2, 0.12, 0.12, 0.08),
  compute: prior(1.5, 0.3, 0.15, 0.15, 0.1),
  sequence: prior(0.02, 0.5, 0.3, 0.25, 0.15),
  transfer: prior(1.5, 0.5, 0.3, 0.25, 0.15),
  prefillDense: prior(1.7, 0.6, 0.35, 0.25, 0.2),
  prefillRouted: prior(2.2, 0.6, 0.35, 0.25, 0.2),
  prefillAttention: prior(2.5, 0.6, 0.35, 0.25, 0.2),
  expand: prior(1, 0.3, 0.4, 0.2, 0.1),
  prefillFixed: prior(3, 0.6, 0.35, 0.25, 0.2),
  interference: prior(0.9, 0.6, 0.35, 0.25, 0.2),
  firstToken: prior(20, 0.6, 0.35, 0.25, 0.2),
  queue: prior(0.3, 0.6, 0.35, 0.25, 0.2),
  queuePower: prior(0.8, 0.2, 0.1, 0.1, 0.05),
}
