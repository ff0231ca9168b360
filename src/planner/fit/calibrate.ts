import { countWeights } from '../../model/index.ts'
import { fitEnergy } from './energy-fit.ts'
import { extracts, number } from './extracts.ts'
import { fitMeasurements, type HeldOut, leaveOut, predictAll } from './folds.ts'
import { type Measurement, type Quantity, quantityOf } from './measurements.ts'
import { quantile } from './statistics.ts'
import type { Calibration, Spread } from '../timing/calibration.ts'
import { energyFeatures, joulesPerOutputToken } from '../timing/energy.ts'

/** Changes when the meaning of the stored numbers does. */
const calibrationVersion = 1

/** Fits everything that `calibration.json` holds; the spreads come from predictions of models left out. */
export function calibrate(measurements: readonly Measurement[]): Calibration {
  const fit = fitMeasurements(measurements)
  const heldOut = leaveOut(
    measurements,
    ({ family }) => family,
    ({ source }) => source === 'aic-silicon' || source === 'trtllm-throughput',
  )
  const serving = heldOut.filter(({ measurement }) => measurement.source === 'aic-silicon')
  const offline = heldOut.filter(({ measurement }) => measurement.source === 'trtllm-throughput')
  const metered = measurements.filter(({ source }) => source === 'mlenergy')
  const energy = fitEnergy(predictAll(fit, metered))
  return {
    version: calibrationVersion,
    inputs: extracts,
    rows: measurements.length,
    deviations: fit.deviations,
    offline: Object.fromEntries(
      Object.entries(fit.offsets)
        .filter(([key]) => key.startsWith('offset:trtllm-throughput/'))
        .map(([key, offset]) => [key.split('/')[1] ?? '', rounded(Math.exp(-offset))]),
    ),
    energy,
    spreads: {
      tpot: spreadsByEngine(serving, 'tpot'),
      ttft: spreadsByEngine(serving, 'ttft'),
      throughput: spreadsByEngine(offline, 'throughput'),
      joules: { all: spreadOfErrors(joulesErrors(metered, fit)) },
    },
    domain: domainOf(measurements),
  }
}

/** ln(predicted/measured) of each held-out row. */
export function logErrors(rows: readonly HeldOut[], quantity: Quantity): readonly number[] {
  return rows.flatMap(({ measurement, performance, sourceFactor }) =>
    measurement.observed
      .filter((one) => one.quantity === quantity)
      .map(({ value }) => Math.log((quantityOf(performance, quantity, measurement) * sourceFactor) / value)),
  )
}

/**
 * The interval that holds 8 of 10 new rows, as factors of the prediction. Errors come in clusters by model and there
 * are few models, so the plain 10 % and 90 % points cover too little on the next one: 7 % and 93 % are taken.
 */
export function spreadOfErrors(errors: readonly number[]): Spread {
  return { low: rounded(Math.exp(-quantile(errors, 0.93))), high: rounded(Math.exp(-quantile(errors, 0.07))) }
}

export function spreadsByEngine(rows: readonly HeldOut[], quantity: Quantity): Readonly<Record<string, Spread>> {
  const groups = Map.groupBy(rows, ({ measurement }) => measurement.engine)
  return {
    all: spreadOfErrors(logErrors(rows, quantity)),
    ...Object.fromEntries([...groups].map(([engine, own]) => [engine, spreadOfErrors(logErrors(own, quantity))])),
  }
}

/** Errors of joules per token with each model's rows left out of the energy fit. */
export function joulesErrors(
  metered: readonly Measurement[],
  fit: Parameters<typeof predictAll>[0],
): readonly number[] {
  const predicted = predictAll(fit, metered)
  const families = Map.groupBy(predicted, ({ measurement }) => measurement.family)
  return [...families].flatMap(([family, rows]) => {
    const energy = fitEnergy(predicted.filter(({ measurement }) => measurement.family !== family))
    return rows.flatMap(({ measurement, performance }) => {
      const features = energyFeatures(measurement.facts, measurement.load, performance)
      const coefficients = energy[measurement.generation]
      const measured = number(measurement.cells, 'joules_per_token')
      if (features === undefined || coefficients === undefined || !(measured > 0)) return []
      return [Math.log(joulesPerOutputToken(features, coefficients) / measured)]
    })
  })
}

function domainOf(measurements: readonly Measurement[]): Calibration['domain'] {
  const distinct = (of: (one: Measurement) => string) => [...new Set(measurements.map(of))].sort()
  const serving = measurements.filter(({ source }) => source !== 'trtllm-throughput')
  const active = [...new Set(measurements.map(({ facts }) => facts.deployment.shape))].map(
    (shape) => countWeights(shape).active,
  )
  return {
    pairs: distinct(({ engine, generation }) => `${engine}/${generation}`),
    gpus: distinct(({ gpu }) => gpu),
    formats: distinct(({ facts }) => facts.deployment.precision.format.id),
    pipelined: [
      ...new Set(measurements.filter(({ facts }) => facts.deployment.pp > 1).map(({ engine }) => engine)),
    ].sort(),
    mixers: [
      ...new Set(measurements.flatMap(({ facts }) => facts.deployment.shape.mixers.map(({ kind }) => kind))),
    ].sort(),
    maxConcurrency: serving.reduce((most, { load }) => Math.max(most, load.concurrency), 0),
    maxTokens: measurements.reduce((most, { load }) => Math.max(most, load.inputTokens + load.outputTokens), 0),
    minActiveParameters: Math.min(...active),
    maxActiveParameters: Math.max(...active),
  }
}

function rounded(value: number): number {
  return Number(value.toPrecision(4))
}
