import { TokenmillError } from '../core/index.ts'
import { toBins, toCdf } from './distributions.ts'
import { formatNumber } from './numbers.ts'
import type {
  Axis,
  BarSection,
  CdfSection,
  HistogramSection,
  LineSection,
  Mark,
  PlotSeries,
  Section,
  Shade,
} from './report.ts'

/**
 * One plot as the page's script takes it: JSON, no functions, no colours (the script knows light and dark).
 * Histograms and distributions have become bars and lines here, so the script draws two kinds only.
 */
export type Figure = LineFigure | BarFigure

interface LineFigure {
  readonly kind: 'lines'
  readonly title: string
  readonly description: string
  readonly x: Axis
  readonly y: Axis
  readonly series: readonly PlotSeries[]
  readonly marks?: readonly Mark[]
  readonly shades?: readonly Shade[]
  /** Points that a logarithmic axis cannot show. */
  readonly dropped: number
}

interface BarFigure {
  readonly kind: 'bars'
  readonly title: string
  readonly description: string
  readonly x: Axis
  readonly y: Axis
  readonly categories: readonly string[]
  readonly series: readonly { readonly name: string; readonly values: readonly number[] }[]
  readonly stacked: boolean
  readonly horizontal: boolean
  /** Bars touch: the categories are neighbouring ranges. */
  readonly adjoining: boolean
}

/** The figure of a plotted section; undefined for text and tables. Throws `invalid_request` for unequal lengths. */
export function toFigure(section: Section): Figure | undefined {
  switch (section.kind) {
    case 'lines':
      return fromLines(section)
    case 'bars':
      return fromBars(section)
    case 'histogram':
      return fromHistogram(section)
    case 'cdf':
      return fromCdf(section)
    default:
      return undefined
  }
}

/** How many points (or bars) a figure draws. */
export function countPoints(figure: Figure): number {
  return figure.kind === 'lines'
    ? figure.series.reduce((sum, series) => sum + series.points.length, 0)
    : figure.series.reduce((sum, series) => sum + series.values.length, 0)
}

function fromLines(section: LineSection): LineFigure {
  let dropped = 0
  const visible = (value: number, axis: Axis) => Number.isFinite(value) && (axis.scale !== 'log' || value > 0)
  const series = section.series.map((one) => {
    const points = one.points.filter((point) => visible(point.x, section.x) && visible(point.y, section.y))
    dropped += one.points.length - points.length
    return { ...one, points }
  })
  return { ...section, series, dropped }
}

function fromBars(section: BarSection): BarFigure {
  for (const series of section.series) {
    if (series.values.length === section.categories.length) continue
    throw new TokenmillError(
      'invalid_request',
      `Bars '${section.title}': series '${series.name}' has ${series.values.length} values for ${section.categories.length} categories. Give one value per category.`,
    )
  }
  const { stacked = false, horizontal = false } = section
  return { ...section, x: { label: '' }, stacked, horizontal, adjoining: false }
}

function fromHistogram(section: HistogramSection): BarFigure {
  const bins = toBins(section.values, section.x.scale, section.bins)
  return {
    kind: 'bars',
    title: section.title,
    description: section.description,
    x: section.x,
    y: { label: 'count' },
    categories: bins.map((bin) => `${formatNumber(bin.from)} – ${formatNumber(bin.to)}`),
    series: [{ name: 'count', values: bins.map((bin) => bin.count) }],
    stacked: false,
    horizontal: false,
    adjoining: true,
  }
}

function fromCdf(section: CdfSection): LineFigure {
  return fromLines({
    kind: 'lines',
    title: section.title,
    description: section.description,
    x: section.x,
    y: { label: 'share of values at or below', min: 0, max: 1 },
    series: section.series.map(({ name, values }) => ({ name, style: 'steps' as const, points: toCdf(values) })),
  })
}
