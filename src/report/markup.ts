import { TokenmillError, limitError } from '../core/index.ts'
import type { Figure } from './figures.ts'
import { formatNumber, withUnit } from './numbers.ts'
import type { Cell, FactsSection, ProseSection, TableColumn, TableSection } from './report.ts'

/** Text as HTML text or a quoted attribute. */
export function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`)
}

export function heading(title: string | undefined): string {
  return title === undefined ? '' : `<h2>${escapeHtml(title)}</h2>`
}

export function proseMarkup(section: ProseSection): string {
  return section.paragraphs.map((paragraph) => `<p>${withCode(paragraph)}</p>`).join('\n')
}

export function factsMarkup(section: FactsSection): string {
  const items = section.facts.map(({ label, value, note }) => {
    const small = note === undefined ? '' : `<dd class="note">${escapeHtml(note)}</dd>`
    return `<div><dt>${escapeHtml(label)}</dt><dd class="value">${escapeHtml(value)}</dd>${small}</div>`
  })
  return `<dl class="facts">${items.join('')}</dl>`
}

export function tableMarkup(section: TableSection, maxRows: number): string {
  if (section.rows.length > maxRows) {
    const limit = { name: 'maxReportRows', maximum: maxRows, unit: 'rows' }
    throw limitError(limit, section.rows.length, `Table '${section.title}'`, 'Give the page the rows that matter.')
  }
  section.rows.forEach((row, index) => {
    if (row.length === section.columns.length) return
    throw new TokenmillError(
      'invalid_request',
      `Table '${section.title}': row ${index} has ${row.length} cells for ${section.columns.length} columns.`,
    )
  })
  const note = section.note === undefined ? '' : `<p class="note">${withCode(section.note)}</p>`
  return `${note}${gridMarkup(section.title, section.columns, section.rows, section.highlighted ?? [])}`
}

/** The plot's place, its text for those who cannot see it, and its figures as a table. */
export function figureMarkup(figure: Figure, index: number): string {
  const tall = figure.kind === 'bars' && figure.horizontal
  const rows = tall ? ` style="--rows:${6 + 1.6 * figure.categories.length * figure.series.length}rem"` : ''
  const dropped =
    figure.kind === 'lines' && figure.dropped > 0
      ? ` ${figure.dropped} points that a logarithmic axis cannot show are left out.`
      : ''
  return `<figure>
<figcaption>${withCode(figure.description)}${dropped}</figcaption>
<div class="plot${tall ? ' tall' : ''}"${rows}><canvas id="figure-${index}" role="img" aria-label="${escapeHtml(`${figure.title}. ${figure.description}`)}"></canvas></div>
<details><summary>The figures of this plot</summary>${dataMarkup(figure)}</details>
</figure>`
}

/** Most rows shown under a plot; the page's data block holds all points. */
const shownRows = 500

function dataMarkup(figure: Figure): string {
  if (figure.kind === 'bars') {
    const columns = [{ label: figure.x.label || 'category' }, ...figure.series.map(({ name }) => ({ label: name }))]
    const rows = figure.categories.map((name, at) => [name, ...figure.series.map((series) => series.values[at])])
    return gridMarkup(figure.title, columns, rows, [])
  }
  const points = figure.series.flatMap((series) => series.points.map((point) => ({ name: series.name, point })))
  const intervals = points.some(({ point }) => point.low !== undefined)
  const columns: TableColumn[] = [{ label: 'series' }, axisColumn(figure.x), axisColumn(figure.y), { label: 'point' }]
  if (intervals) columns.push({ label: 'low' }, { label: 'high' })
  const rows = points.slice(0, shownRows).map(({ name, point }): Cell[] => {
    const row: Cell[] = [name, point.x, point.y, point.label]
    if (intervals) row.push(point.low, point.high)
    return row
  })
  const more = points.length > shownRows ? `<p class="note">The first ${shownRows} of ${points.length} points.</p>` : ''
  return `${gridMarkup(figure.title, columns, rows, [])}${more}`
}

function axisColumn(axis: { readonly label: string; readonly unit?: string }): TableColumn {
  return axis.unit === undefined ? { label: axis.label } : { label: axis.label, unit: axis.unit }
}

function gridMarkup(
  title: string,
  columns: readonly TableColumn[],
  rows: readonly (readonly Cell[])[],
  highlighted: readonly number[],
): string {
  const numeric = columns.map(
    (_, at) => rows.some((row) => isFigure(row[at])) && rows.every((row) => isFigure(row[at] ?? '–')),
  )
  const cellClass = (at: number) => (numeric[at] === true ? ' class="number"' : '')
  const head = columns
    .map(({ label, unit }, at) => `<th scope="col"${cellClass(at)}>${escapeHtml(withUnit(label, unit))}</th>`)
    .join('')
  const body = rows
    .map((row, index) => {
      const cells = row
        .map((cell, at) => {
          const { label = '', unit } = columns[at] ?? {}
          const name = label === '' ? '' : ` data-label="${escapeHtml(withUnit(label, unit))}"`
          return `<td${cellClass(at)}${name}>${cellText(cell, columns[at])}</td>`
        })
        .join('')
      return `<tr${highlighted.includes(index) ? ' class="highlighted"' : ''}>${cells}</tr>`
    })
    .join('\n')
  return `<div class="scroll" tabindex="0" role="region" aria-label="${escapeHtml(title)}"><table><thead><tr>${head}</tr></thead><tbody>\n${body}\n</tbody></table></div>`
}

/** A number, or the text of one: with a unit, an interval, or a dash where there is none. */
function isFigure(cell: Cell): boolean {
  return (
    typeof cell === 'number' ||
    (typeof cell === 'string' && /^(–|needs ≥ [\d,]+|-?[\d.,]+( (%|[KMGT]?i?B))?( \[.*\])?)$/.test(cell))
  )
}

function cellText(cell: Cell, column: TableColumn | undefined): string {
  if (cell === undefined) return '–'
  if (typeof cell === 'number') return formatNumber(cell, column?.digits)
  if (typeof cell === 'boolean') return cell ? 'yes' : 'no'
  return escapeHtml(cell)
}

function withCode(text: string): string {
  return escapeHtml(text).replaceAll(/`([^`]+)`/g, '<code>$1</code>')
}
