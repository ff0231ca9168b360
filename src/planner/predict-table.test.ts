import { describe, expect, it } from 'vitest'
import { parseCsv } from './csv.ts'
import { examplePredictionTable, inputColumns, outputColumns, predictTable, toPredictionCsv } from './predict-table.ts'

const header = 'model,gpu,engine,precision,isl,osl,concurrency,tp,pp,ep,dp'

function predictCsv(...lines: readonly string[]) {
  const { table, results } = predictTable(`${[header, ...lines].join('\n')}\n`, 'rows.csv')
  const { columns, rows } = parseCsv(toPredictionCsv(table, results), 'out')
  return rows.map((row) => Object.fromEntries(columns.map((name, at) => [name, row[at] ?? ''])))
}

describe('predictTable()', () => {
  it('adds its columns to the given ones and fills every figure', () => {
    const [row] = predictCsv('meta-llama/Llama-3.1-70B,h100_sxm,vllm,fp8,1024,1024,16,4,1,1,1')
    expect(Object.keys(row ?? {})).toEqual([...header.split(','), ...outputColumns])
    for (const name of outputColumns.slice(0, 10)) expect(Number(row?.[name]), name).toBeGreaterThan(0)
    expect(row?.['extrapolated']).toBe('false')
    expect(row?.['error']).toBe('')
  })

  it('takes an empty concurrency for offline throughput, the most that the engine batches', () => {
    const [offline, single] = predictCsv(
      'Llama-3.1-8B,h100_sxm,trtllm,fp8,128,128,,1,1,1,1',
      'Llama-3.1-8B,h100_sxm,trtllm,fp8,128,128,1,1,1,1,1',
    )
    expect(Number(offline?.['tok_s_per_gpu'])).toBeGreaterThan(20 * Number(single?.['tok_s_per_gpu']))
  })

  it.each([
    ['lama-3.1-70b,h100_sxm,vllm,fp8,1000,100,4,2,1,1,1', /^row 1, column model: .*Nearest: llama-3.1-70b/],
    ['llama-3.1-70b,h100,vllm,fp8,1000,100,4,2,1,8,1', /^row 1, column ep: ep is 8, but/],
    ['llama-3.1-70b,h100,vllm,fp8,-5,100,4,2,1,1,1', /^row 1, column isl: isl is -5/],
    ['llama-3.1-70b,h100,vllm,fp8,abc,100,4,2,1,1,1', /^row 1, column isl: isl is 'abc', not a number/],
    ['llama-3.1-70b,h100,vllm,fp8,1000,100,0,2,1,1,1', /^row 1, column concurrency: /],
    ['llama-3.1-70b,h100,vllm,fp8,1000,100,4,1.5,1,1,1', /^row 1, column tp: tp is 1.5/],
    ['llama-3.1-70b,h100,vllm,bf16,1000,100,4,1,1,1,1', /does not fit: each GPU lacks \d+ bytes/],
    ['llama-3.1-70b,h100,vlm,fp8,1000,100,4,4,1,1,1', /^row 1, column engine: .*Nearest: vllm/],
    [
      'llama-3.1-70b,mi300x,trtllm,fp8,1000,100,4,4,1,1,1',
      /^row 1, column engine: TensorRT-LLM does not run on mi300x/,
    ],
    [',h100,vllm,fp8,1000,100,4,4,1,1,1', /^row 1, column model: model is empty/],
    ['llama-3.1-70b,h1000,vllm,fp8,1000,100,4,4,1,1,1', /^row 1, column gpu: .*Nearest: h100_sxm/],
    ['llama-3.1-70b,h100,vllm,fp9,1000,100,4,4,1,1,1', /^row 1, column precision: .*Nearest: .*fp8/],
    ['llama-3.1-70b,h100,vllm,fp8,1000,-1,4,4,1,1,1', /^row 1, column osl: osl is -1/],
    ['llama-3.1-70b,h100,vllm,fp8,1000,100,many,4,1,1,1', /^row 1, column concurrency: .*'many', not a number/],
    [
      'llama-3.1-70b,h100,vllm,fp8,200000,100,4,4,1,1,1',
      /^row 1.*200100 tokens; the context of llama-3.1-70b is 131072/,
    ],
    ['llama-3.1-70b,h100,vllm,fp8,1000,100,4,0,1,1,1', /^row 1, column tp: tp is 0/],
  ])('gives the reason in place of figures: %s', (line, message) => {
    const [row] = predictCsv(line)
    expect(row?.['error']).toMatch(message)
    for (const name of outputColumns.slice(0, 10)) expect(row?.[name]).toBe('')
  })

  it('counts rows from 1 below the header, and predicts the good ones beside a bad one', () => {
    const good = 'llama-3.1-70b,h100,vllm,fp8,1000,100,4,4,1,1,1'
    const rows = predictCsv(good, good.replace('1000', 'x'), good)
    expect(rows.map((row) => row['error'])).toEqual(['', expect.stringMatching(/^row 2, column isl:/), ''])
    expect(rows[2]?.['tpot_ms']).toBe(rows[0]?.['tpot_ms'])
  })

  it('gives a row with too few or too many cells its own error', () => {
    const good = 'llama-3.1-70b,h100,vllm,fp8,1000,100,4,4,1,1,1'
    const rows = predictCsv(good.slice(0, -2), `${good},9`, good)
    expect(rows.map((row) => row['error'])).toEqual([
      'row 1: 10 cells where the header names 11 columns.',
      'row 2: 12 cells where the header names 11 columns.',
      '',
    ])
  })

  it('knows columns in any case and order, and refuses one that comes twice', () => {
    const values = 'x,16,llama-3.1-8b,h100_sxm,vllm,fp8,100,1000'
    const { results } = predictTable(`Note,CONCURRENCY,Model,GPU,Engine,Precision,OSL,ISL\n${values}\n`, 'rows.csv')
    const [row] = predictCsv('llama-3.1-8b,h100_sxm,vllm,fp8,1000,100,16,,,,')
    expect(results[0]).toMatchObject({ prediction: { concurrency: 16, load: { inputTokens: 1000 } } })
    expect(toPredictionCsv({ columns: [], rows: [[]] }, results)).toContain(row?.['tpot_ms'])
    expect(() => predictTable(`${header},TP\n`, 'rows.csv')).toThrow('rows.csv has the column tp twice.')
  })

  it('refuses a table without the columns it needs', () => {
    expect(() => predictTable('model,gpu\nx,y\n', 'rows.csv')).toThrow(
      'rows.csv lacks the columns engine, precision, isl, osl. It has: model, gpu.',
    )
  })

  it('predicts ten thousand rows in less than five seconds of processor time', () => {
    const line = (at: number) => `Qwen3-235B-A22B,h200_sxm,sglang,fp8,${1000 + (at % 500)},500,${1 + (at % 64)},8,1,1,1`
    const before = process.cpuUsage()
    const rows = predictCsv(...Array.from({ length: 10_000 }, (_, at) => line(at)))
    const { user, system } = process.cpuUsage(before)
    expect((user + system) / 1e6).toBeLessThan(5)
    expect(rows.every((row) => row['error'] === '' && Number(row['tpot_ms']) > 0)).toBe(true)
  })

  it('predicts every row of its own example, which has all columns', () => {
    const { table, results } = predictTable(examplePredictionTable(), 'example')
    expect(table.columns).toEqual(inputColumns)
    expect(results.filter((result) => 'error' in result)).toEqual([])
  })
})
