import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import path from 'node:path'
import { limitError } from '../core/index.ts'
import { countPoints, toFigure, type Figure } from './figures.ts'
import { escapeHtml, factsMarkup, figureMarkup, heading, proseMarkup, tableMarkup } from './markup.ts'
import { formatNumber } from './numbers.ts'
import { reportOptions } from './options.ts'
import { drawFigures } from './page-script.ts'
import { pageStyle } from './page-style.ts'
import type { Report, Section } from './report.ts'

/**
 * A report as one HTML file that needs nothing else: style, script, data and the chart library stand in it, and
 * its content policy forbids the browser every request. About 220 kB with plots, a few kB without.
 * Throws `limit_exceeded` over `maxReportPoints` or `maxReportRows`, `invalid_request` for rows of unequal length.
 */
export function renderReport(report: Report): string {
  const figures: Figure[] = []
  const abreast = figuresAbreast(report.sections)
  const sections = report.sections.map((section, at) => sectionMarkup(section, figures, abreast.has(at)))
  const points = figures.reduce((sum, figure) => sum + countPoints(figure), 0)
  const maximum = reportOptions.maxReportPoints.default
  if (points > maximum) {
    const limit = { name: 'maxReportPoints', maximum, unit: 'points' }
    throw limitError(limit, points, `Report '${report.title}'`, 'Draw fewer points, or several pages.')
  }
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'">
<title>${escapeHtml(report.title)}</title>
<link rel="icon" href="data:,">
<style>${pageStyle}</style>
</head>
<body>
<main>
<header>
<h1>${escapeHtml(report.title)}</h1>
${report.summary === undefined ? '' : `<p class="summary">${escapeHtml(report.summary)}</p>`}
</header>
${sections.join('\n')}
${originMarkup(report)}
</main>
${figures.length === 0 ? '' : scripts(figures)}
</body>
</html>
`
}

/** Plots that stand beside another on wide screens: those that follow each other, by twos; an odd one is the first. */
function figuresAbreast(sections: readonly Section[]): Set<number> {
  const abreast = new Set<number>()
  let row: number[] = []
  for (const [at, section] of [...sections, undefined].entries()) {
    if (section !== undefined && toFigure(section) !== undefined) {
      row.push(at)
      continue
    }
    for (const each of row.slice(row.length % 2)) abreast.add(each)
    row = []
  }
  return abreast
}

function sectionMarkup(section: Section, figures: Figure[], half: boolean): string {
  const figure = toFigure(section)
  if (figure !== undefined) figures.push(figure)
  return `<section${half ? ' class="half"' : ''}>${heading(section.title)}\n${bodyMarkup(section, figure, figures.length - 1)}\n</section>`
}

function bodyMarkup(section: Section, figure: Figure | undefined, index: number): string {
  if (figure !== undefined) return figureMarkup(figure, index)
  switch (section.kind) {
    case 'prose':
      return proseMarkup(section)
    case 'facts':
      return factsMarkup(section)
    case 'table':
      return tableMarkup(section, reportOptions.maxReportRows.default)
    default:
      return ''
  }
}

/** How to make the page again, and where it was made. */
function originMarkup({ command, environment }: Report): string {
  const line = command === undefined ? '' : `<pre><code>${escapeHtml(command)}</code></pre>`
  const facts = Object.entries(environment ?? {})
    .map(([name, value]) => `<dt>${escapeHtml(name)}</dt><dd>${escapeHtml(value)}</dd>`)
    .join('')
  if (line === '' && facts === '') return ''
  const list = facts === '' ? '' : `<dl class="environment">${facts}</dl>`
  return `<section>${heading('How this page was made')}${line}${list}</section>`
}

function scripts(figures: readonly Figure[]): string {
  // `<` never stands in the data block, so no text in it can close the script element.
  const data = JSON.stringify(figures).replaceAll('<', String.raw`\u003c`)
  return `<script id="figures" type="application/json">${data}</script>
<script>${chartLibrary()}</script>
<script>(${drawFigures.toString()})(globalThis, ${formatNumber.toString()})</script>`
}

/** Chart.js as one classic script (MIT; its banner stays in the page). */
function chartLibrary(): string {
  const folder = path.dirname(createRequire(import.meta.url).resolve('chart.js'))
  return readFileSync(path.join(folder, 'chart.umd.min.js'), 'utf8')
}
