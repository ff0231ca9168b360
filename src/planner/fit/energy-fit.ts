import { number } from './extracts.ts'
import type { HeldOut } from './folds.ts'
import { type EnergyCoefficients, energyFeatures } from '../timing/energy.ts'

/** Coefficient floors: nothing is free, and none may turn negative to please a neighbour. */
const floors = [0.05, 0, 0, 5e-12, 5e-14]

/** Energy coefficients per GPU generation from measured joules per token, by relative least squares. */
export function fitEnergy(predicted: readonly HeldOut[]): Readonly<Record<string, EnergyCoefficients>> {
  const groups = Map.groupBy(predicted, ({ measurement }) => measurement.generation)
  return Object.fromEntries([...groups].map(([generation, rows]) => [generation, fitOne(rows)]))
}

/** Coordinate descent on the convex problem: every column stays at or above its floor; Huber weights against outliers. */
function fitOne(rows: readonly HeldOut[]): EnergyCoefficients {
  const columns = rows.flatMap(({ measurement, performance }) => {
    const joules = number(measurement.cells, 'joules_per_token')
    const features = energyFeatures(measurement.facts, measurement.load, performance)
    if (features === undefined || !(joules > 0)) return []
    const { staticJoules, stepJoulesPerMs, sequenceJoulesPerMs, bytes, flops } = features
    return [[staticJoules, stepJoulesPerMs, sequenceJoulesPerMs, bytes, flops].map((value) => value / joules)]
  })
  const solution = [...floors]
  const fitted = (row: readonly number[]) => row.reduce((sum, value, j) => sum + value * (solution[j] ?? 0), 0)
  for (let round = 0; round < 400; round += 1) {
    const weights = columns.map((row) => 1 / Math.max(0.1, Math.abs(fitted(row) - 1)))
    for (let k = 0; k < floors.length; k += 1) {
      let along = 0
      let square = 0
      columns.forEach((row, index) => {
        const own = row[k] ?? 0
        const weight = weights[index] ?? 0
        along += weight * own * (1 - fitted(row) + own * (solution[k] ?? 0))
        square += weight * own * own
      })
      solution[k] = Math.max(floors[k] ?? 0, along / square)
    }
  }
  const [staticShare = 0, stepMs = 0, sequenceMs = 0, joulesPerByte = 0, joulesPerFlop = 0] = solution.map((value) =>
    Number(value.toPrecision(4)),
  )
  return { staticShare, stepMs, sequenceMs, joulesPerByte, joulesPerFlop }
}
