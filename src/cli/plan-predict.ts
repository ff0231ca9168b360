import { readFileSync } from 'node:fs'
import { text } from 'node:stream/consumers'
import { z } from 'zod'
import { TokenmillError, limitError } from '../core/index.ts'
import type { RowResult } from '../planner/index.ts'
import { plannerOptions } from '../planner/options.ts'
import { writeOutputFile } from './output-file.ts'
import { defineCommand, type Io } from './command.ts'
import { jsonOption } from './plan-options.ts'

const options = {
  in: {
    schema: z.string().min(1),
    default: '-',
    value: '<file>',
    help: 'Table of configurations; - is standard input',
  },
  out: {
    schema: z.string().min(1),
    default: '-',
    value: '<file>',
    help: 'Where the predictions go; - is standard output',
  },
  example: {
    schema: z.boolean(),
    default: false,
    help: 'Write a table with all columns to start from, and predict nothing',
  },
  priceTier: plannerOptions.priceTier,
  json: jsonOption,
} as const

export const planPredict = defineCommand({
  name: 'predict',
  summary: 'Predict times, throughput, energy and cost of each row of a CSV table',
  options,
  examples: [
    'tokenmill plan predict --example --out rows.csv',
    'tokenmill plan predict --in rows.csv --out predictions.csv',
  ],
  async run(values, _positionals, io) {
    const planner = await import('../planner/index.ts')
    if (values.example) {
      write(values.out, planner.examplePredictionTable(), io)
      return 0
    }
    const content = await read(values.in, io)
    const { table, results } = planner.predictTable(content, values.in === '-' ? 'standard input' : values.in, {
      priceTier: values.priceTier,
    })
    const maximum = plannerOptions.maxPredictRows.default
    if (table.rows.length > maximum) {
      const limit = { name: 'maxPredictRows', maximum, unit: 'rows' }
      throw limitError(limit, table.rows.length, 'The table', 'Split it.')
    }
    const output = values.json
      ? `${JSON.stringify(results.map(toJson), undefined, 2)}\n`
      : planner.toPredictionCsv(table, results)
    write(values.out, output, io)
    const failed = results.filter((result) => 'error' in result)
    if (failed.length > 0)
      io.stderr.write(`${failed.length} of ${results.length} rows could not be predicted: see error.\n`)
    return 0
  },
})

function write(file: string, text: string, io: Io): void {
  if (file === '-') io.stdout.write(text)
  else writeOutputFile(file, text, io)
}

async function read(file: string, io: Io): Promise<string> {
  if (file === '-') return text(io.stdin)
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    throw new TokenmillError('invalid_request', `Cannot read --in ${file}: ${reason}`, { param: 'in' }, error)
  }
}

function toJson(result: RowResult) {
  if ('error' in result) return result
  const { prediction, row } = result
  return {
    row,
    ttftMs: prediction.ttftMs,
    tpotMs: prediction.tpotMs,
    tokensPerSecondPerGpu: prediction.tokensPerSecondPerGpu,
    tokensPerSecondPerUser: prediction.tokensPerSecondPerUser,
    joulesPerOutputToken: prediction.joulesPerOutputToken,
    usdPerMillionOutputTokens: prediction.usdPerMillionOutputTokens,
    maxBatch: prediction.maxBatch,
    extrapolated: prediction.extrapolated,
  }
}
