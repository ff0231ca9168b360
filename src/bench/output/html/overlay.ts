import type { Report } from '../../../report/index.ts'
import type { BenchResult } from '../../result.ts'
import { showLatency, showNumber, showPercent, showWithInterval } from '../figures.ts'
import { judgedPoint } from '../verdict.ts'
import { paretoPlots } from './curves.ts'
import { definitions } from './definitions.ts'
import { distributionPlots } from './distributions.ts'

/** Several results over each other: their figures side by side, their curves in one plot each. */
export function toOverlay(results: readonly BenchResult[], given: readonly string[]): Report {
  const names = new Set(given).size === results.length ? given : overlayNames(results)
  const named = results.map((result, index) => ({ result, name: names[index] ?? '' }))
  const stated = results.some((result) => result.sloHeld !== null)
  const rows = named.flatMap(({ result, name }) =>
    result.points.map(({ label, summary, runs }) => [
      name,
      label,
      showWithInterval(summary, 'outputTokPerS'),
      showWithInterval(summary, 'tokPerSUserP50'),
      showWithInterval(summary, 'ttftMsP50'),
      showLatency(summary, 'ttftMs', 'P99'),
      showWithInterval(summary, 'tpotMsP50'),
      showLatency(summary, 'tpotMs', 'P99'),
      ...(stated ? [showNumber(summary['goodputRps']), showPercent(summary['attainmentWorstClass'])] : []),
      runs.every((run) => run.problems.length === 0) ? 'yes' : 'no',
    ]),
  )
  const labels = [
    'result',
    'load',
    'output tok/s',
    'tok/s per user',
    'TTFT p50 ms',
    'p99',
    'TPOT p50 ms',
    'p99',
    ...(stated ? ['goodput /s', 'attained'] : []),
    'valid',
  ]
  return {
    title: `${results.length} load tests compared`,
    summary:
      'Figures of separate runs: compare those with equal load, lengths and definitions, and mind their intervals.',
    sections: [
      { kind: 'table', title: 'Side by side', columns: labels.map((label) => ({ label })), rows },
      ...paretoPlots(results, names),
      ...distributionPlots(
        named.flatMap(({ result, name }) => {
          // Of a search, one load: all loads in one curve would say nothing of any.
          const point = judgedPoint(result)
          const load = result.points.length > 1 ? `, ${point?.label ?? ''}` : ''
          return point === undefined ? [] : [{ name: `${name}${load}`, runs: point.runs }]
        }),
      ),
      {
        kind: 'table',
        title: 'Where they come from',
        columns: ['result', 'load', 'date', 'machine of the client', 'command'].map((label) => ({ label })),
        rows: named.map(({ result, name }) => [
          name,
          result.loadText,
          result.startedAt.slice(0, 19).replace('T', ' '),
          `${result.environment.cpu}, ${result.environment.cores} cores`,
          result.command,
        ]),
      },
      definitions,
    ],
  }
}

function overlayNames(results: readonly BenchResult[]): string[] {
  const plain = results.map((result) => result.target.model)
  return new Set(plain).size === plain.length
    ? plain
    : results.map((result, index) => `${index + 1}: ${result.target.model}`)
}
