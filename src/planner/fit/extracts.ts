import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { AssertionError } from 'node:assert'
import { parseCsv } from '../csv.ts'

/** The measured tables that the calibration rests on, pinned by their SHA-256: other bytes are another calibration. */
export const extracts = {
  'aic-silicon.csv': 'fccf01f51b6b146a5180a67cb7029eea0fbb75003df4ccdbbbcf0811d541c05b',
  'trtllm-throughput.csv': '9c3db9252e98d082e926e683d2dc0aea0108205fd7dffd96f0b30528e2a5122f',
  'mlenergy.csv': 'e02391a4c116e15ed5786b90581377282a0db7eebb13e5806cc20fa43a5f3ddb',
  'inferencex-dsr1.csv': '09b6eff641198598b0f8bd6636cbd6d0f1af388e487ed85cad5049792e893359',
} as const

export type ExtractName = keyof typeof extracts

/** Cells of one row, by column. */
export type Cells = Readonly<Record<string, string>>

/** Reads an extract of src/planner/data. Throws AssertionError where its bytes are not the pinned ones. */
export function readExtract(name: ExtractName): readonly Cells[] {
  const text = readFileSync(path.join(import.meta.dirname, '../data', name), 'utf8')
  const found = createHash('sha256').update(text).digest('hex')
  if (found !== extracts[name]) {
    throw new AssertionError({ message: `${name} has SHA-256 ${found}, pinned is ${extracts[name]}.` })
  }
  const { columns, rows } = parseCsv(text, name)
  return rows.map((row) => Object.fromEntries(columns.map((column, at) => [column, row[at] ?? ''])))
}

/** A numeric cell; NaN when empty. */
export function number(cells: Cells, column: string): number {
  const text = cells[column]
  return text === undefined || text === '' ? Number.NaN : Number(text)
}
