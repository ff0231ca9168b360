import { hasObjectives } from '../metrics/objectives.ts'
import { poolClasses } from '../pooled-runs.ts'
import type { BenchPoint, BenchResult, RunResult } from '../result.ts'
import { verdictOf } from '../search/ratios.ts'
import { showLatency, showNumber, showPercent, showShare, showWithInterval } from './figures.ts'
import { serverFigures } from './server-figures.ts'
import { evidenceOf, missesOf, verdictLine } from './verdict.ts'
import { describeMisses, describeObjectives, describeSide, lengthLabels } from './wording.ts'

/** Latencies of the table: key of the summary and what it says. */
const latencyRows = [
  ['ttftMs', 'TTFT'],
  ['tpotMs', 'TPOT'],
  ['itlMs', 'ITL per token'],
  ['iclMs', 'gap per chunk'],
  ['stallMs', 'longest stall'],
  ['e2eMs', 'end to end'],
] as const

const percentileColumns = ['P50', 'P90', 'P99', 'Mean', 'Max'] as const

/** The result as plain text for a terminal or a log. */
export function textReport(result: BenchResult): string {
  const lines: string[] = ['']
  lines.push(`${result.target.model} at ${result.target.url}`)
  lines.push(`${result.loadText}; seed ${result.seed}; lengths by ${lengthLabels[result.lengthsFrom]}`)
  if (result.kind === 'run') lines.push(...pointLines(result.points[0]))
  else lines.push('', ...tableLines(sweepRows(result)))
  if (result.kind === 'goodput') {
    const rate = result.summary['maxRateRps'] ?? null
    const target = showPercent(result.attainmentTarget)
    lines.push('')
    lines.push(
      rate === null
        ? `No rate was found at which ${target} of every class meets its objectives.`
        : `Highest rate with ${target} of every class in time: ${showNumber(rate)} requests/s, goodput ${showNumber(result.summary['goodputRps'])} requests/s.`,
    )
  }
  if (result.ratios !== undefined) lines.push('', ...ratioLines(result, result.ratios))
  const runs = result.points.flatMap((point) => point.runs)
  lines.push(...classLines(result, runs))
  lines.push(...warningLines(result, runs))
  lines.push(...missedLines(result))
  lines.push('', verdictLine(result), ...evidenceLines(result), '')
  return lines.join('\n')
}

function pointLines(point: BenchPoint | undefined): string[] {
  if (point === undefined) return []
  const { summary, runs } = point
  const rows = latencyRows.map(([key, name]) => {
    const figures = percentileColumns.map((column) => showLatency(summary, key, column))
    return [`${name} ms`].concat(figures, showNumber(summary[`${key}Count`]))
  })
  const first = runs[0]
  const window = first === undefined ? '' : windowText(first)
  const cached = summary['cachedShare'] ?? null
  const stated = (summary['goodputRps'] ?? null) !== null
  const goodput = stated ? ` · goodput ${showWithInterval(summary, 'goodputRps')} /s` : ''
  return [
    window,
    '',
    ...tableLines([['', 'p50', 'p90', 'p99', 'mean', 'max', 'n'], ...rows]),
    '',
    `output ${showWithInterval(summary, 'outputTokPerS')} tok/s · input ${showNumber(summary['inputTokPerS'])} tok/s · per user ${showNumber(summary['tokPerSUserP50'])} tok/s (p50)`,
    `requests ${showWithInterval(summary, 'requestsPerS')} /s${goodput} · concurrency ${showNumber(summary['concurrencyMean'])}`,
    `lengths ${showNumber(summary['inputTokensMean'])} in (asked ${showNumber(summary['inputTokensAskedMean'])}), ${showNumber(summary['outputTokensMean'])} out (asked ${showNumber(summary['outputTokensAskedMean'])})${cached === null ? '' : `, cached ${showPercent(cached)}`}`,
    ...costLines(summary),
    ...serverLines(runs),
    ...failureLines(runs),
    ...clientLines(runs),
  ]
}

function windowText(run: RunResult): string {
  const seconds = (run.window.endMs - run.window.startMs) / 1000
  const kind = run.window.steady ? 'steady state' : 'whole run'
  return `${run.summary['requests'] ?? 0} requests in ${showNumber(seconds)} s (${kind}), ${run.summary['requestsTotal'] ?? 0} in all`
}

function costLines(summary: BenchResult['summary']): string[] {
  const parts = [
    ['usdPerMtokOutput', '$ per million output tokens'],
    ['usdPerThousandGood', '$ per thousand good requests'],
    ['joulesPerOutputTok', 'J per output token'],
    ['joulesPerGoodRequest', 'J per good request'],
  ] as const
  const known = parts.filter(([key]) => (summary[key] ?? null) !== null)
  return known.length === 0 ? [] : [known.map(([key, name]) => `${showNumber(summary[key])} ${name}`).join(' · ')]
}

function serverLines(runs: readonly RunResult[]): string[] {
  const figures = serverFigures(runs)
  const parts: string[] = []
  const pair = (key: string, name: string, show: (value: number | undefined) => string): void => {
    if (figures[`${key}Mean`] !== undefined)
      parts.push(`${name} ${show(figures[`${key}Mean`])} (max ${show(figures[`${key}Max`])})`)
  }
  pair('running', 'running', showNumber)
  pair('waiting', 'waiting', showNumber)
  pair('kvCacheUsage', 'KV', showPercent)
  if (figures['preemptions'] !== undefined) parts.push(`preemptions ${figures['preemptions']}`)
  const { prefixQueries = 0, prefixHits = 0 } = figures
  if (prefixQueries > 0) parts.push(`prefix hits ${showPercent(prefixHits / prefixQueries)}`)
  return parts.length === 0 ? [] : [`server: ${parts.join(' · ')}`]
}

function failureLines(runs: readonly RunResult[]): string[] {
  const counts = new Map<string, number>()
  for (const { message, count } of runs.flatMap((run) => run.failures))
    counts.set(message, (counts.get(message) ?? 0) + count)
  const sorted = [...counts].toSorted((a, b) => b[1] - a[1])
  const shown = sorted.slice(0, 8).map(([message, count]) => `  ${count} × ${message}`)
  if (sorted.length > 8) shown.push(`  and ${sorted.length - 8} other kinds`)
  return shown.length === 0 ? [] : ['failures:', ...shown]
}

function clientLines(runs: readonly RunResult[]): string[] {
  const worst = (key: 'sendLagMsP99' | 'receiveLagMsP99' | 'loopDelayMsP99' | 'cpuShare'): number =>
    runs.reduce((most, run) => Math.max(most, run.client[key] ?? 0), 0)
  return [
    `client: send lag p99 ${showNumber(worst('sendLagMsP99'))} ms · receive lag p99 ${showNumber(worst('receiveLagMsP99'))} ms · loop delay p99 ${showNumber(worst('loopDelayMsP99'))} ms · ${showPercent(worst('cpuShare'))} of a core`,
  ]
}

function sweepRows(result: BenchResult): string[][] {
  const stated = result.sloHeld !== null
  const rows = result.points.map((point) => {
    const { summary, runs } = point
    const goodput = [showNumber(summary['goodputRps']), showPercent(summary['attainmentWorstClass'])]
    return [
      describeSide(point),
      showWithInterval(summary, 'outputTokPerS'),
      showNumber(summary['tokPerSUserP50']),
      showWithInterval(summary, 'ttftMsP50'),
      showLatency(summary, 'ttftMs', 'P99'),
      showWithInterval(summary, 'tpotMsP50'),
      showLatency(summary, 'tpotMs', 'P99'),
      ...(stated ? goodput : []),
      showNumber(summary['errors']),
      runs.some((run) => run.saturation?.oversaturated === true) ? 'over-saturated' : '',
    ]
  })
  const goodput = stated ? ['goodput/s', 'attained'] : []
  const head = ['', 'tok/s', 'tok/s user', 'TTFT p50', 'p99', 'TPOT p50', 'p99', ...goodput, 'errors', '']
  return [head, ...rows]
}

/** Of each load that fell short, the limits that its classes missed. */
function missedLines(result: BenchResult): string[] {
  if (result.sloHeld === null || result.points.length < 2) return []
  const missed = result.points.map((point) => missesOf(point, result.attainmentTarget)).filter((line) => line !== '')
  return missed.length === 0 ? [] : ['', 'missed:', ...missed.map((line) => `  ${line}`)]
}

function ratioLines({ points }: BenchResult, ratios: NonNullable<BenchResult['ratios']>): string[] {
  const [a, b] = points
  const [left = 'A', right = 'B'] = points.map((point) => point.label)
  const rows = Object.entries(ratios).map(([key, ratio]) => {
    const { name, text } = verdictOf(key, ratio, right)
    const interval = `[${ratio.low.toFixed(3)}, ${ratio.high.toFixed(3)}]`
    return [name, showNumber(a?.summary[key]), showNumber(b?.summary[key]), ratio.ratio.toFixed(3), interval, text]
  })
  return tableLines([['', left, right, `${right} / ${left}`, '95 % interval', ''], ...rows])
}

function classLines(result: BenchResult, runs: readonly RunResult[]): string[] {
  const classes = poolClasses(runs)
  if (!classes.some((each) => hasObjectives(each.objectives)) || result.points.length !== 1) return []
  const rows = classes.map((each) => [
    each.name,
    describeObjectives(each.objectives),
    showShare(each.attainment, each.low, each.high),
    `${each.good} of ${each.offered}`,
    describeMisses(each),
  ])
  return ['', ...tableLines([['class', 'objectives', 'attained (95 %)', 'good', 'missed'], ...rows])]
}

function warningLines(result: BenchResult, runs: readonly RunResult[]): string[] {
  const warnings = new Set([...result.notes, ...runs.flatMap((run) => run.warnings)])
  const shown = result.kind === 'run' || result.kind === 'compare' ? [...warnings] : result.notes
  return shown.length === 0 ? [] : ['', ...shown.map((line) => `note: ${line}`)]
}

/** Columns padded to equal width, the first left, the others right. */
function tableLines(rows: readonly (readonly string[])[]): string[] {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => (row[column] ?? '').length)))
  return rows.map((row) =>
    row
      .map((cell, column) => (column === 0 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0)))
      .join('  ')
      .trimEnd(),
  )
}

/** Attainment of a single load stands in the table of its classes already. */
function evidenceLines(result: BenchResult): string[] {
  const evidence = evidenceOf(result).filter(([name]) => name !== 'attained')
  return evidence.map(([name, text]) => `  ${name}: ${text}`)
}
