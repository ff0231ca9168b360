import { formatBytes } from '../../../core/index.ts'
import type { Section } from '../../../report/index.ts'
import { distinctProblems } from '../../pooled-runs.ts'
import type { BenchPoint, BenchResult, RunResult } from '../../result.ts'
import { verdictOf } from '../../search/ratios.ts'
import { showLatency, showNumber, showPercent, showWithInterval } from '../figures.ts'
import { describeSide } from '../wording.ts'
import { missesOf } from '../verdict.ts'

/** The measured loads, or endpoints, a row each. */
export function pointsTable(result: BenchResult): Section {
  const stated = result.sloHeld !== null
  const labels = [
    result.kind === 'compare' ? 'endpoint' : 'load',
    'output tok/s',
    'tok/s per user',
    'TTFT p50 ms',
    'p99',
    'TPOT p50 ms',
    'p99',
    ...(stated ? ['goodput /s'] : []),
    'failed',
    '',
  ]
  const best = result.points.findIndex((point) => point.load === result.summary['maxRateRps'])
  return {
    kind: 'table',
    title: result.kind === 'compare' ? 'Endpoints' : 'Loads',
    columns: labels.map((label) => ({ label })),
    rows: result.points.map((point) => [
      describeSide(point),
      showWithInterval(point.summary, 'outputTokPerS'),
      showWithInterval(point.summary, 'tokPerSUserP50'),
      showWithInterval(point.summary, 'ttftMsP50'),
      showLatency(point.summary, 'ttftMs', 'P99'),
      showWithInterval(point.summary, 'tpotMsP50'),
      showLatency(point.summary, 'tpotMs', 'P99'),
      ...(stated ? [showNumber(point.summary['goodputRps'])] : []),
      showNumber(point.summary['errors']),
      remarkOf(point, result),
    ]),
    ...(best < 0 || result.kind !== 'goodput' ? {} : { highlighted: [best] }),
  }
}

/** Why a load is no good: invalid, over-saturated, or short of its objectives, with the limits missed. */
function remarkOf(point: BenchPoint, { sloHeld, attainmentTarget }: BenchResult): string {
  if (point.runs.some((run) => run.problems.length > 0)) return 'invalid'
  const saturated = point.runs.some((run) => run.saturation?.oversaturated === true) ? 'over-saturated' : ''
  const missed = sloHeld === null ? '' : missesOf(point, attainmentTarget).replace(`${point.label}: `, '')
  return [saturated, missed].filter((each) => each !== '').join('; ')
}

/** How the second endpoint stands to the first, with both figures. */
export function ratiosTable({ points }: BenchResult, ratios: NonNullable<BenchResult['ratios']>): Section {
  const [a, b] = points
  const [left = 'A', right = 'B'] = points.map((point) => point.label)
  return {
    kind: 'table',
    title: `${right} over ${left}`,
    note: 'Geometric mean over pairs of runs with equal seeds, and its 95 % bootstrap interval. An interval that holds 1 shows no difference.',
    columns: ['figure', left, right, 'ratio', 'low', 'high', 'verdict'].map((label) => ({ label, digits: 3 })),
    rows: Object.entries(ratios).map(([key, ratio]) => {
      const { name, text } = verdictOf(key, ratio, right)
      return [name, showNumber(a?.summary[key]), showNumber(b?.summary[key]), ratio.ratio, ratio.low, ratio.high, text]
    }),
  }
}

export function failuresTable(runs: readonly RunResult[]): Section {
  const rows = runs.flatMap((run) => run.failures).map(({ message, count }) => [message, count])
  if (rows.length === 0)
    return { kind: 'prose', title: 'Failures', paragraphs: ['None: every request was answered completely.'] }
  return { kind: 'table', title: 'Failures', columns: [{ label: 'what' }, { label: 'requests', digits: 0 }], rows }
}

export function clientTable(result: BenchResult): Section {
  return {
    kind: 'table',
    title: 'The client itself',
    note: 'Send lag: actual minus scheduled send. Receive lag: at most how long bytes waited for the client. Above the limits a run is invalid.',
    columns: [
      'run',
      'threads',
      'send lag p99 ms',
      'receive lag p99 ms',
      'loop delay p99 ms',
      'share of a core',
      'peak memory',
    ].map((label) => ({ label })),
    rows: result.points.flatMap(({ label, runs }) =>
      runs.map(({ client }, index) => [
        runs.length === 1 ? label : `${label} #${index + 1}`,
        client.threads,
        showNumber(client.sendLagMsP99),
        showNumber(client.receiveLagMsP99),
        showNumber(client.loopDelayMsP99),
        showPercent(client.cpuShare),
        formatBytes(client.peakRssBytes),
      ]),
    ),
  }
}

export function notesOf(result: BenchResult, runs: readonly RunResult[]): Section {
  const notes = [...new Set([...result.notes, ...distinctProblems(runs), ...runs.flatMap((run) => run.warnings)])]
  return { kind: 'prose', title: 'Notes', paragraphs: notes.length === 0 ? ['None.'] : notes }
}

export function latencySections(point: BenchPoint | undefined, runs: readonly RunResult[]): Section[] {
  if (point === undefined) return []
  const rows = (
    [
      ['ttftMs', 'TTFT from the scheduled send'],
      ['serviceTtftMs', 'TTFT from the actual send'],
      ['tpotMs', 'TPOT'],
      ['itlMs', 'ITL per token'],
      ['iclMs', 'gap between chunks'],
      ['stallMs', 'longest stall of an answer'],
      ['e2eMs', 'end to end'],
      ['ntpotMs', 'time per token, TTFT included'],
    ] as const
  ).map(([key, name]) => {
    const columns = ['P50', 'P90', 'P95', 'P99', 'P999', 'Mean', 'Max']
    const figures = columns.map((column) => showLatency(point.summary, key, column))
    return [name as string].concat(figures, showNumber(point.summary[`${key}Count`]))
  })
  const window = runs[0]?.window
  const seconds = window === undefined ? 0 : (window.endMs - window.startMs) / 1000
  return [
    {
      kind: 'table',
      title: 'Latency, ms',
      note: `${window?.steady === true ? 'Steady state' : 'Whole run'} of ${showNumber(seconds)} s${runs.length > 1 ? `, ${runs.length} repeats, mean of their figures and 95 % bootstrap interval` : ''}. “needs ≥ n”: a percentile with too few samples.`,
      columns: ['', 'p50', 'p90', 'p95', 'p99', 'p99.9', 'mean', 'max', 'n'].map((label) => ({ label })),
      rows,
    },
  ]
}
