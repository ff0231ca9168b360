export { renderReport } from './page.ts'
export type {
  Axis,
  BarSection,
  CdfSection,
  Cell,
  FactsSection,
  HistogramSection,
  LineSection,
  PlotSeries,
  Point,
  ProseSection,
  Report,
  Section,
  TableColumn,
  TableSection,
} from './report.ts'
