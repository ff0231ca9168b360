import { TokenmillError } from '../core/index.ts'

/** A table as text: names of columns, and rows of as many cells. */
export interface Table {
  readonly columns: readonly string[]
  readonly rows: readonly (readonly string[])[]
}

/**
 * Reads comma-separated values (RFC 4180: quotes, doubled quotes, line breaks within quotes; CRLF or LF).
 * Blank lines are skipped. Rows may be shorter or longer than the header: see `checkCells`. Throws `invalid_request` for a quote that is not closed.
 */
export function parseCsv(text: string, subject: string): Table {
  const records = splitRecords(text.replace(/^\uFEFF/, ''), subject)
  const [columns = [], ...rows] = records
  return { columns: columns.map((name) => name.trim()), rows }
}

/** Throws `invalid_request` where a row has not one cell for each column. */
export function checkCells(row: readonly string[], columns: readonly string[]): void {
  if (row.length === columns.length) return
  throw new TokenmillError('invalid_request', `${row.length} cells where the header names ${columns.length} columns.`)
}

function splitRecords(text: string, subject: string): string[][] {
  const records: string[][] = []
  let record: string[] = []
  let at = 0
  while (at < text.length) {
    let cell: string
    if (text[at] === '"') {
      const end = closingQuote(text, at, subject, records.length)
      cell = text.slice(at + 1, end).replaceAll('""', '"')
      at = end + 1
    } else {
      const end = /[,\r\n]/g
      end.lastIndex = at
      const next = end.exec(text)?.index ?? text.length
      cell = text.slice(at, next)
      at = next
    }
    record.push(cell)
    if (text[at] === ',') {
      at += 1
      if (at === text.length) record.push('')
      continue
    }
    if (text[at] === '\r') at += 1
    if (text[at] === '\n') at += 1
    if (record.length > 1 || record[0] !== '') records.push(record)
    record = []
  }
  if (record.length > 0) records.push(record)
  return records
}

function closingQuote(text: string, open: number, subject: string, row: number): number {
  let at = open + 1
  for (;;) {
    const quote = text.indexOf('"', at)
    if (quote < 0) throw new TokenmillError('invalid_request', `${subject}, row ${row}: a quoted cell is not closed.`)
    if (text[quote + 1] !== '"') return quote
    at = quote + 2
  }
}

/** Writes a table, quoting what needs it. Ends with a line break. */
export function formatCsv(table: Table): string {
  return [table.columns, ...table.rows].map((row) => `${row.map(quoted).join(',')}\n`).join('')
}

function quoted(cell: string): string {
  return /[",\r\n]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell
}
