export { renderReport } from './page.ts'
export type {
  Axis,
  BarSection,
  CdfSection,
  Cell,
  FactsSection,
  HistogramSection,
  LineSection,
  Mark,
  PlotSeries,
  Point,
  ProseSection,
  Report,
  Section,
  Shade,
  TableColumn,
  TableSection,
} from './report.ts'
