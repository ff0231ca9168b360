/** Fits the planner's calibration from the extracts and writes it: `npm run plan:fit`. */
import { writeFileSync } from 'node:fs'
import path from 'node:path'
import { calibrate } from '../src/planner/fit/calibrate.ts'
import { readMeasurements } from '../src/planner/fit/measurements.ts'

const measurements = readMeasurements()
const result = calibrate(measurements)
const target = path.join(import.meta.dirname, '../src/planner/timing/calibration.json')
writeFileSync(target, `${JSON.stringify(result, undefined, 2)}\n`)
console.log(`Fitted ${measurements.length} measurements; wrote ${target}.`)
