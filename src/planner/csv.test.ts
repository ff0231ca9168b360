import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { checkCells, formatCsv, parseCsv } from './csv.ts'

describe('parseCsv()', () => {
  it('reads back whatever formatCsv() writes', () => {
    const cell = fc.string({ maxLength: 8 })
    const table = fc.integer({ min: 2, max: 5 }).chain((width) =>
      fc.record({
        columns: fc.array(fc.stringMatching(/^[a-z]{1,5}$/), { minLength: width, maxLength: width }),
        rows: fc.array(fc.array(cell, { minLength: width, maxLength: width }), { maxLength: 6 }),
      }),
    )
    fc.assert(
      fc.property(table, (given) => {
        expect(parseCsv(formatCsv(given), 'x')).toEqual(given)
      }),
    )
  })

  it('takes CRLF, a byte order mark, blank lines and an empty last cell', () => {
    expect(parseCsv('\uFEFFa,b\r\n1,\r\n\r\n"x ""y""",2', 't')).toEqual({
      columns: ['a', 'b'],
      rows: [
        ['1', ''],
        ['x "y"', '2'],
      ],
    })
  })

  it('counts the cells of a row, and names the row whose quote is not closed', () => {
    const { columns, rows } = parseCsv('a,b\n1,2\n3\n', 'rows.csv')
    expect(() => checkCells(rows[0] ?? [], columns)).not.toThrow()
    expect(() => checkCells(rows[1] ?? [], columns)).toThrow('1 cells where the header names 2 columns.')
    expect(() => parseCsv('a,b\n"1,2\n', 'rows.csv')).toThrow('rows.csv, row 1: a quoted cell is not closed.')
  })
})
