import { TokenmillError } from '../core/index.ts'
import { resolveModel, type ResolvedModel } from '../model/index.ts'
import { checkCells, formatCsv, parseCsv, type Table } from './csv.ts'
import { type Estimated, predict, type Prediction, type PredictOptions } from './timing/predict.ts'
import { DeploymentFactsCache } from './work/deployment-facts.ts'
import { deploy } from './work/deployment.ts'
import { resolveEngine } from './work/engine-profiles.ts'
import { type Hardware, resolveHardware } from './work/hardware.ts'
import { resolveFormat } from './work/precision.ts'

/** Columns that `plan predict` needs, and those it adds. */
export const inputColumns = [
  'model',
  'gpu',
  'engine',
  'precision',
  'isl',
  'osl',
  'concurrency',
  'tp',
  'pp',
  'ep',
  'dp',
] as const

export const outputColumns = [
  'ttft_ms',
  'ttft_ms_low',
  'ttft_ms_high',
  'tpot_ms',
  'tpot_ms_low',
  'tpot_ms_high',
  'tok_s_per_gpu',
  'tok_s_per_user',
  'joules_per_output_token',
  'usd_per_mtok_output',
  'extrapolated',
  'error',
] as const

/** Columns that may be missing or empty, and what that means. */
const optionalDefaults: Readonly<Record<string, string>> = { concurrency: '', tp: '1', pp: '1', ep: '1', dp: '1' }

/** A table with every column, to start from: a load in a closed loop, parallelism of all kinds, offline throughput. */
export function examplePredictionTable(): string {
  return formatCsv({
    columns: inputColumns,
    rows: [
      ['llama-3.1-70b', 'h100_sxm', 'vllm', 'fp8', '2000', '500', '32', '4', '1', '1', '1'],
      ['qwen3-235b-a22b', 'h200_sxm', 'sglang', 'fp8', '8000', '1000', '64', '8', '1', '8', '1'],
      ['deepseek-r1', 'b200_sxm', 'trtllm', 'fp4', '1000', '1000', '256', '1', '1', '8', '8'],
      ['llama-3.1-8b', 'l40s', 'vllm', 'bf16', '1000', '200', '', '1', '1', '1', '1'],
    ],
  })
}

/** What became of a row. */
export type RowResult =
  | { readonly row: number; readonly prediction: Prediction }
  | { readonly row: number; readonly error: string }

/**
 * Predicts each row of a table, rows counted from 1 below the header. A row that cannot be predicted carries the reason, naming row and column, in place of
 * figures; a table without the needed columns throws `invalid_request`.
 */
export function predictTable(
  text: string,
  subject: string,
  options: PredictOptions = {},
): { readonly table: Table; readonly results: readonly RowResult[] } {
  const table = parseCsv(text, subject)
  // Columns are known by name in any case: `Concurrency` must not pass for a column that is not there.
  const columns = table.columns.map((name) => name.toLowerCase())
  const missing = inputColumns.filter((name) => !columns.includes(name) && !(name in optionalDefaults))
  const doubled = inputColumns.find((name) => columns.indexOf(name) !== columns.lastIndexOf(name))
  if (doubled !== undefined) {
    throw new TokenmillError('invalid_request', `${subject} has the column ${doubled} twice.`, { param: doubled })
  }
  if (missing.length > 0) {
    throw new TokenmillError(
      'invalid_request',
      `${subject} lacks the columns ${missing.join(', ')}. It has: ${table.columns.join(', ') || 'none'}.`,
      { param: missing[0] ?? '' },
    )
  }
  const at = new Map(columns.map((name, index) => [name, index]))
  const resolver = new Resolver()
  const results = table.rows.map((cells, index): RowResult => {
    const row = index + 1
    const read = (column: string) => {
      const own = (cells[at.get(column) ?? -1] ?? '').trim()
      return own === '' ? (optionalDefaults[column] ?? '') : own
    }
    try {
      checkCells(cells, columns)
      return { row, prediction: predictRow(read, resolver, options) }
    } catch (error) {
      if (!(error instanceof TokenmillError)) throw error
      const { param } = error.details
      // What is wrong within a model's own file is wrong with the column that names it.
      const own = param === undefined || (inputColumns as readonly string[]).includes(param) ? param : 'model'
      const column = own === undefined ? '' : `, column ${own}`
      return { row, error: `row ${row}${column}: ${error.message}` }
    }
  })
  return { table, results }
}

/** The table with the predicted columns beside the given ones. */
export function toPredictionCsv(table: Table, results: readonly RowResult[]): string {
  // Columns of an earlier prediction are replaced, not doubled.
  const kept = table.columns.flatMap((name, index) =>
    (outputColumns as readonly string[]).includes(name.toLowerCase()) ? [] : [index],
  )
  const rows = results.map((result, index) => {
    const given = kept.map((at) => table.rows[index]?.[at] ?? '')
    if ('error' in result) return [...given, ...outputColumns.map((name) => (name === 'error' ? result.error : ''))]
    const { prediction } = result
    const interval = (estimate: Estimated) => [estimate.value, estimate.low, estimate.high].map(cell)
    return [
      ...given,
      ...interval(prediction.ttftMs),
      ...interval(prediction.tpotMs),
      cell(prediction.tokensPerSecondPerGpu.value),
      cell(prediction.tokensPerSecondPerUser.value),
      cell(prediction.joulesPerOutputToken?.value),
      cell(prediction.usdPerMillionOutputTokens?.value),
      prediction.extrapolated.length > 0 ? 'true' : 'false',
      '',
    ]
  })
  return formatCsv({ columns: [...kept.map((index) => table.columns[index] ?? ''), ...outputColumns], rows })
}

function cell(value: number | undefined): string {
  return value === undefined || !Number.isFinite(value) ? '' : String(Number(value.toPrecision(6)))
}

function predictRow(read: (column: string) => string, resolver: Resolver, options: PredictOptions): Prediction {
  const { shape } = resolver.model(text(read, 'model'))
  const gpu = resolver.gpu(text(read, 'gpu'))
  const engine = resolveEngine(text(read, 'engine'))
  const format = resolveFormat(read('precision') || (shape.publishedFormat ?? text(read, 'precision')))
  const parallelism = { tp: whole(read, 'tp'), pp: whole(read, 'pp'), ep: whole(read, 'ep'), dp: whole(read, 'dp') }
  const deployment = deploy(shape, gpu, engine, format, parallelism)
  const request = {
    inputTokens: numeric(read, 'isl'),
    outputTokens: numeric(read, 'osl'),
    concurrency: read('concurrency') === '' ? undefined : numeric(read, 'concurrency'),
  }
  return predict(deployment, request, options, resolver.facts)
}

function text(read: (column: string) => string, column: string): string {
  const own = read(column)
  if (own === '') throw new TokenmillError('invalid_request', `${column} is empty.`, { param: column })
  return own
}

function numeric(read: (column: string) => string, column: string): number {
  const own = text(read, column)
  const value = Number(own)
  if (Number.isFinite(value)) return value
  throw new TokenmillError('invalid_request', `${column} is '${own}', not a number.`, { param: column })
}

function whole(read: (column: string) => string, column: string): number {
  const value = numeric(read, column)
  if (Number.isInteger(value) && value >= 1) return value
  throw new TokenmillError('invalid_request', `${column} is ${value}; it must be a whole number from 1.`, {
    param: column,
  })
}

/** Names looked up once for a whole table; failures too, so that a bad name costs one search. */
class Resolver {
  readonly facts = new DeploymentFactsCache()
  readonly #models = new Map<string, ResolvedModel | TokenmillError>()
  readonly #gpus = new Map<string, Hardware>()

  model(name: string): ResolvedModel {
    let known = this.#models.get(name)
    if (known === undefined) {
      try {
        known = resolveModel(name)
      } catch (error) {
        if (!(error instanceof TokenmillError)) throw error
        known = error
      }
      this.#models.set(name, known)
    }
    if (known instanceof TokenmillError) throw known
    return known
  }

  gpu(name: string): Hardware {
    const known = this.#gpus.get(name) ?? resolveHardware(name)
    this.#gpus.set(name, known)
    return known
  }
}
