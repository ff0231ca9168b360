import { logErrors, spreadOfErrors } from './calibrate.ts'
import { type DisaggregatedAccuracy, validateDisaggregated } from './disaggregated-runs.ts'
import { fitEnergy } from './energy-fit.ts'
import { number } from './extracts.ts'
import { fitMeasurements, type HeldOut, leaveOut, predictAll } from './folds.ts'
import { type Measurement, predictMeasurement, type Quantity, quantityOf } from './measurements.ts'
import { type Accuracy, accuracyOf, median } from './statistics.ts'
import { coefficientsOf } from '../timing/coefficient-levels.ts'
import { energyFeatures, joulesPerOutputToken } from '../timing/energy.ts'
import { priors } from '../timing/priors.ts'
import { decodeWork } from '../work/step-work.ts'
import { isR1, validateChoice, type ChoiceAccuracy } from './choice-accuracy.ts'

/** What a planner is judged by, each figure from rows that its fit did not see. */
export interface Validation {
  readonly leaveOneModelOut: ServingAccuracy
  readonly leaveOneGpuOut: ServingAccuracy
  readonly throughput: Accuracy
  readonly joules: Accuracy
  readonly coverage: readonly Coverage[]
  readonly choice: readonly ChoiceAccuracy[]
  readonly disaggregated: DisaggregatedAccuracy
}

export interface ServingAccuracy {
  /** All rows of the protocol. */
  readonly tpot: Accuracy
  readonly ttft: Accuracy
  /** The rows that AIConfigurator predicts too, ours and its. */
  readonly tpotShared: Accuracy
  readonly ttftShared: Accuracy
  readonly tpotAic: Accuracy
  readonly ttftAic: Accuracy
  /** The same without the rows whose parallelism the source mislabels: there AIConfigurator was asked for other GPUs. */
  readonly tpotCleanShared: Accuracy
  readonly tpotCleanAic: Accuracy
  /** The same without the rows that measure steps faster than memory can be read: see `isImpossible`. */
  readonly tpotPossibleShared: Accuracy
  readonly tpotPossibleAic: Accuracy
  /** Median of ln(predicted/measured) and of its size, by cell. */
  readonly residuals: readonly Residual[]
}

export interface Residual {
  readonly by: string
  readonly cell: string
  readonly rows: number
  readonly bias: number
  readonly size: number
}

export interface Coverage {
  readonly engine: string
  readonly quantity: Quantity
  readonly fold: string
  readonly rows: number
  readonly share: number
}

/** Rows of the published protocol: aggregated, known concurrency, at most 16 GPUs as the source counts them. */
export function inProtocol({ source, cells }: Measurement): boolean {
  return source === 'aic-silicon' && number(cells, 'published_gpus') <= 16
}

export function validateServing(heldOut: readonly HeldOut[]): ServingAccuracy {
  const rows = heldOut.filter(({ measurement }) => inProtocol(measurement))
  const shared = rows.filter(({ measurement }) => number(measurement.cells, 'aic_tpot_ms') > 0)
  const possible = shared.filter(({ measurement }) => !isImpossible(measurement))
  const clean = shared.filter(({ measurement }) => !isMislabelled(measurement))
  const ours = (some: readonly HeldOut[], quantity: 'tpot' | 'ttft') =>
    accuracyOf(
      some.map(({ measurement, performance }) => ({
        predicted: quantityOf(performance, quantity, measurement),
        measured: number(measurement.cells, `${quantity}_ms`),
      })),
    )
  const aic = (some: readonly HeldOut[], quantity: 'tpot' | 'ttft') =>
    accuracyOf(
      some.map(({ measurement }) => ({
        predicted: number(measurement.cells, `aic_${quantity}_ms`),
        measured: number(measurement.cells, `${quantity}_ms`),
      })),
    )
  return {
    tpot: ours(rows, 'tpot'),
    ttft: ours(rows, 'ttft'),
    tpotShared: ours(shared, 'tpot'),
    ttftShared: ours(shared, 'ttft'),
    tpotAic: aic(shared, 'tpot'),
    ttftAic: aic(shared, 'ttft'),
    tpotCleanShared: ours(clean, 'tpot'),
    tpotCleanAic: aic(clean, 'tpot'),
    tpotPossibleShared: ours(possible, 'tpot'),
    tpotPossibleAic: aic(possible, 'tpot'),
    residuals: residualsOf(rows),
  }
}

/** The source counts tp·ep or tp·dp·ep GPUs where the run had fewer: see the notes in data/README.md. */
function isMislabelled({ cells, facts }: Measurement): boolean {
  return number(cells, 'published_gpus') !== facts.gpus
}

/**
 * A measured TPOT below what reading the weights and caches of the stated requests takes at the GPU's full bandwidth:
 * fewer requests than stated were running. No planner can be right about such a row.
 */
function isImpossible({ cells, facts, load, capacity }: Measurement): boolean {
  const running = Math.min(load.concurrency, capacity)
  const { denseReadMs, routedReadMs, cacheReadMs } = decodeWork(facts, running, load.inputTokens)
  return number(cells, 'tpot_ms') < denseReadMs + routedReadMs + cacheReadMs
}

function residualsOf(rows: readonly HeldOut[]): readonly Residual[] {
  const batch = (concurrency: number) => [8, 32, 128].find((most) => concurrency <= most) ?? Infinity
  const cuts: Readonly<Record<string, (one: Measurement) => string>> = {
    engine: ({ engine }) => engine,
    GPU: ({ engine, gpu }) => `${engine} ${gpu}`,
    precision: ({ engine, facts }) => `${engine} ${facts.deployment.precision.format.id}`,
    batch: ({ engine, load }) => `${engine} ≤ ${batch(load.concurrency)}`,
    model: ({ model, engine }) => `${model} ${engine}`,
  }
  return Object.entries(cuts).flatMap(([by, of]) =>
    [...Map.groupBy(rows, ({ measurement }) => of(measurement))]
      .map(([cell, own]) => {
        const errors = logErrors(own, 'tpot')
        return { by, cell, rows: own.length, bias: median(errors), size: median(errors.map(Math.abs)) }
      })
      .sort((a, b) => a.cell.localeCompare(b.cell)),
  )
}

/** TensorRT-LLM 1.1-1.2rc from a fit that sees 0.17 and 1.0 of that table, and the other tables. */
export function validateThroughput(measurements: readonly Measurement[]): Accuracy {
  const isNew = ({ source, cells }: Measurement) => source === 'trtllm-throughput' && cells['version'] === '1.1-1.2rc'
  const fit = fitMeasurements(measurements.filter((one) => !isNew(one)))
  return accuracyOf(
    predictAll(fit, measurements.filter(isNew)).map(({ measurement, performance, sourceFactor }) => ({
      predicted: quantityOf(performance, 'throughput', measurement) * sourceFactor,
      measured: number(measurement.cells, 'output_tok_s_per_gpu'),
    })),
  )
}

/** Joules per token of each ML.ENERGY model from times and energies fitted without it. */
export function validateJoules(measurements: readonly Measurement[]): Accuracy {
  const metered = measurements.filter(({ source }) => source === 'mlenergy')
  const families = [...new Set(metered.map(({ family }) => family))]
  return accuracyOf(
    families.flatMap((family) => {
      const others = measurements.filter((one) => one.family !== family)
      // Six steps: the energy figures do not change beyond the third digit after that.
      const fit = fitMeasurements(others, 6)
      const energy = fitEnergy(
        predictAll(
          fit,
          others.filter(({ source }) => source === 'mlenergy'),
        ),
      )
      return metered
        .filter((one) => one.family === family)
        .flatMap((one) => {
          const performance = predictMeasurement(
            one,
            coefficientsOf(priors, fit.deviations, one.engine, one.generation),
          )
          const features = energyFeatures(one.facts, one.load, performance)
          const coefficients = energy[one.generation]
          const measured = number(one.cells, 'joules_per_token')
          if (features === undefined || coefficients === undefined || !(measured > 0)) return []
          return [{ predicted: joulesPerOutputToken(features, coefficients), measured }]
        })
    }),
  )
}

/**
 * Share of held-out rows inside the 80 % interval. The interval's factors come from the errors of the other groups
 * that were left out (cross-conformal), never from the group's own.
 */
export function validateCoverage(
  heldOut: readonly HeldOut[],
  groupOf: (measurement: Measurement) => string,
  fold: string,
): readonly Coverage[] {
  const rows = heldOut.filter(({ measurement }) => inProtocol(measurement))
  const engines = [...new Set(rows.map(({ measurement }) => measurement.engine))].sort()
  return engines.flatMap((engine) =>
    (['tpot', 'ttft'] as const).map((quantity) => {
      const own = rows.filter(({ measurement }) => measurement.engine === engine)
      let inside = 0
      for (const group of new Set(own.map(({ measurement }) => groupOf(measurement)))) {
        const others = own.filter(({ measurement }) => groupOf(measurement) !== group)
        const { low, high } = spreadOfErrors(logErrors(others.length > 0 ? others : rows, quantity))
        const tested = own.filter(({ measurement }) => groupOf(measurement) === group)
        inside += logErrors(tested, quantity).filter((error) => {
          const ratio = Math.exp(-error)
          return ratio >= low && ratio <= high
        }).length
      }
      return { engine, quantity, fold, rows: own.length, share: inside / own.length }
    }),
  )
}

/** Everything, from scratch: some twenty fits. */
export function validate(measurements: readonly Measurement[]): Validation {
  const family = measurements.find(isR1)?.family
  const withoutR1 = fitMeasurements(measurements.filter((one) => one.family !== family))
  const models = leaveOut(measurements, ({ family }) => family, inProtocol)
  const gpus = leaveOut(measurements, ({ gpu }) => gpu, inProtocol)
  return {
    leaveOneModelOut: validateServing(models),
    leaveOneGpuOut: validateServing(gpus),
    throughput: validateThroughput(measurements),
    joules: validateJoules(measurements),
    coverage: [
      ...validateCoverage(models, ({ family }) => family, 'model'),
      ...validateCoverage(gpus, ({ gpu }) => gpu, 'GPU'),
    ],
    choice: validateChoice(measurements, withoutR1),
    disaggregated: validateDisaggregated(withoutR1),
  }
}
