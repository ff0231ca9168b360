/** What a report page is made of. Plain data: whoever measures or plans fills it, `renderReport` draws it. */
export interface Report {
  readonly title: string
  /** One or two sentences under the title: the result first. */
  readonly summary?: string
  /** The exact command line that makes this page again. */
  readonly command?: string
  /** Where it was measured, name by name: host, GPU, driver, versions, date. */
  readonly environment?: Readonly<Record<string, string>>
  readonly sections: readonly Section[]
}

export type Section =
  | ProseSection
  | FactsSection
  | TableSection
  | LineSection
  | BarSection
  | HistogramSection
  | CdfSection

/** Paragraphs of plain text; `text between backticks` is set as code. */
export interface ProseSection {
  readonly kind: 'prose'
  readonly title?: string
  readonly paragraphs: readonly string[]
}

/** A few large figures. */
export interface FactsSection {
  readonly kind: 'facts'
  readonly title?: string
  readonly facts: readonly { readonly label: string; readonly value: string; readonly note?: string }[]
}

export interface TableSection {
  readonly kind: 'table'
  readonly title: string
  readonly note?: string
  readonly columns: readonly TableColumn[]
  /** One array per row, in the order of `columns`. Undefined cells show a dash. */
  readonly rows: readonly (readonly Cell[])[]
  /** Indices of rows to set off: the recommendation, the winner. */
  readonly highlighted?: readonly number[]
}

export type Cell = string | number | boolean | undefined

export interface TableColumn {
  readonly label: string
  readonly unit?: string
  /** Digits after the point of numeric cells; default: three significant digits. */
  readonly digits?: number
}

export interface Axis {
  readonly label: string
  readonly unit?: string
  /** Logarithmic axes drop points that are not positive, and the page says how many. */
  readonly scale?: 'linear' | 'log'
  readonly min?: number
  readonly max?: number
}

/** A value of x drawn as a dashed line across the plot: a limit, a chosen point. */
export interface Mark {
  readonly x: number
  readonly label: string
}

/** A range of x that is set off: a warm-up, a drain. */
export interface Shade {
  readonly from: number
  readonly to: number
  readonly label: string
}

export interface Point {
  readonly x: number
  readonly y: number
  /** Interval around y, drawn as a whisker and named in the tooltip. */
  readonly low?: number
  readonly high?: number
  /** Shown in the tooltip: `TP4, batch 64`. */
  readonly label?: string
}

export interface PlotSeries {
  readonly name: string
  readonly points: readonly Point[]
  /** Default `line` (with small marks). */
  readonly style?: 'line' | 'points' | 'steps'
  readonly dashed?: boolean
}

/** Lines or scattered points over two numeric axes. */
export interface LineSection {
  readonly kind: 'lines'
  readonly title: string
  /** What a reader should see in it; also the plot's text for screen readers. */
  readonly description: string
  readonly x: Axis
  readonly y: Axis
  readonly series: readonly PlotSeries[]
  readonly marks?: readonly Mark[]
  readonly shades?: readonly Shade[]
}

/** One bar per category and series. */
export interface BarSection {
  readonly kind: 'bars'
  readonly title: string
  readonly description: string
  readonly categories: readonly string[]
  readonly y: Axis
  readonly series: readonly { readonly name: string; readonly values: readonly number[] }[]
  readonly stacked?: boolean
  /** Categories from top to bottom: for long names. */
  readonly horizontal?: boolean
}

/** Counts of values in bins of equal width (equal ratio on a log axis). */
export interface HistogramSection {
  readonly kind: 'histogram'
  readonly title: string
  readonly description: string
  readonly x: Axis
  readonly values: readonly number[]
  /** Default: Freedman–Diaconis, between 5 and 60. */
  readonly bins?: number
}

/** Share of values at or below x, a line per series. */
export interface CdfSection {
  readonly kind: 'cdf'
  readonly title: string
  readonly description: string
  readonly x: Axis
  readonly series: readonly { readonly name: string; readonly values: readonly number[] }[]
}
