import { type Estimate, estimate } from './estimate.ts'
import { type Measurement, offsetKeyOf, predictMeasurement, toFitRows } from './measurements.ts'
import type { Performance } from '../timing/closed-loop.ts'
import { coefficientsOf } from '../timing/coefficient-levels.ts'
import { priors } from '../timing/priors.ts'

/** A measurement and what a fit that never saw its fold says of it. */
export interface HeldOut {
  readonly measurement: Measurement
  readonly performance: Performance
  /** Factor that brings a prediction to the level of its source; 1 for the sources without one. */
  readonly sourceFactor: number
}

export function fitMeasurements(measurements: readonly Measurement[], maxSteps?: number): Estimate {
  return estimate(toFitRows(measurements), priors, maxSteps)
}

/** Predicts measurements with a fit. */
export function predictAll(fit: Estimate, measurements: readonly Measurement[]): readonly HeldOut[] {
  return measurements.map((measurement) => {
    const { engine, generation } = measurement
    const key = offsetKeyOf(measurement)
    return {
      measurement,
      performance: predictMeasurement(measurement, coefficientsOf(priors, fit.deviations, engine, generation)),
      sourceFactor: key === undefined ? 1 : Math.exp(-(fit.offsets[key] ?? 0)),
    }
  })
}

/**
 * Leaves each group out in turn: fits on all measurements outside it, from every source, and predicts those inside
 * it that `tested` names.
 */
export function leaveOut(
  measurements: readonly Measurement[],
  groupOf: (measurement: Measurement) => string,
  tested: (measurement: Measurement) => boolean,
  maxSteps?: number,
): readonly HeldOut[] {
  const groups = new Set(measurements.filter(tested).map(groupOf))
  return [...groups].flatMap((group) => {
    const fit = fitMeasurements(
      measurements.filter((one) => groupOf(one) !== group),
      maxSteps,
    )
    return predictAll(
      fit,
      measurements.filter((one) => groupOf(one) === group && tested(one)),
    )
  })
}
