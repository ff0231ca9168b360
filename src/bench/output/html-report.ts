import { formatBytes } from '../../core/index.ts'
import { renderReport, type Report, type Section } from '../../report/index.ts'
import type { BenchResult } from '../result.ts'
import { attainmentSections, paretoPlots } from './html/curves.ts'
import { definitions } from './html/definitions.ts'
import { distributionPlots } from './html/distributions.ts'
import { headline } from './html/headline.ts'
import { toOverlay } from './html/overlay.ts'
import { serverPlots } from './html/server-plots.ts'
import { clientTable, failuresTable, latencySections, notesOf, pointsTable, ratiosTable } from './html/tables.ts'
import { timelines } from './html/timelines.ts'
import { evidenceOf, verdictLine } from './verdict.ts'
import { lengthLabels } from './wording.ts'

/** One page over one result, or several laid over each other under the names given. Needs nothing but the results. */
export function htmlReport(results: readonly BenchResult[], names: readonly string[] = []): string {
  const [first] = results
  if (first === undefined) throw new RangeError('A report needs a result.')
  return renderReport(results.length === 1 ? toReport(first) : toOverlay(results, names))
}

function toReport(result: BenchResult): Report {
  const runs = result.points.flatMap((point) => point.runs)
  const last = result.points.at(-1)
  return {
    title: `${result.target.model}: ${titles[result.kind]}`,
    summary: `${verdictLine(result)} ${result.loadText.charAt(0).toUpperCase()}${result.loadText.slice(1)}.`,
    command: result.command,
    environment: environmentOf(result),
    sections: [
      headline(result),
      evidenceTable(result),
      ...(result.points.length > 1 ? [pointsTable(result)] : []),
      // Two endpoints at one load are no curve.
      ...(result.points.length > 1 && result.kind !== 'compare' ? paretoPlots([result]) : []),
      ...(result.ratios === undefined ? [] : [ratiosTable(result, result.ratios)]),
      ...(result.kind === 'run' ? latencySections(last, runs) : []),
      ...distributionPlots(result.points.map((point) => ({ name: point.label, runs: point.runs }))),
      ...(result.kind === 'run' ? timelines(runs) : []),
      ...attainmentSections(result),
      ...(result.kind === 'compare'
        ? result.points.flatMap((point) => serverPlots(point.runs, `server ${point.label}`))
        : serverPlots(runs, 'the server')),
      ...(result.kind === 'run' ? [failuresTable(runs)] : []),
      clientTable(result),
      notesOf(result, runs),
      definitions,
    ],
  }
}

const titles: Readonly<Record<BenchResult['kind'], string>> = {
  run: 'load test',
  sweep: 'throughput against interactivity',
  goodput: 'highest rate within objectives',
  compare: 'two endpoints compared',
}

function environmentOf(result: BenchResult): Record<string, string> {
  const { environment } = result
  return {
    endpoint: result.target.url,
    date: result.startedAt,
    seed: result.textSalt === 0 ? String(result.seed) : `${result.seed}; texts of their own, salt ${result.textSalt}`,
    'prompt lengths by': lengthLabels[result.lengthsFrom],
    client: `tokenmill ${result.version}, Node ${environment.node}`,
    machine: `${environment.cpu}, ${environment.cores} cores, ${formatBytes(environment.memoryBytes)}`,
    system: `${environment.platform}, load ${environment.loadAverage}`,
  }
}

/** What the verdict rests on: whoever is shown the page alone must not have to ask. */
function evidenceTable(result: BenchResult): Section {
  return {
    kind: 'table',
    title: 'What the verdict rests on',
    columns: [{ label: '' }, { label: '' }],
    rows: evidenceOf(result),
  }
}
