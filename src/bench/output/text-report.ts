import { distinctProblems, objectivesHeld, type BenchPoint, type BenchResult, type RunResult } from '../result.ts'
import { hasObjectives, type Objectives } from '../metrics/objectives.ts'
import { verdictOf } from '../search/ratios.ts'
import { showNumber, showPercent, showWithInterval } from './figures.ts'

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
  if (result.ratios !== undefined) lines.push('', ...ratioLines(result.ratios))
  const runs = result.points.flatMap((point) => point.runs)
  lines.push(...classLines(result, runs))
  lines.push(...warningLines(result, runs))
  lines.push('', verdictLine(result), '')
  return lines.join('\n')
}

export const lengthLabels: Readonly<Record<BenchResult['lengthsFrom'], string>> = {
  tokenizer: 'the tokenizer given',
  endpoint: 'the endpoint’s /tokenize',
  usage: 'an estimate calibrated on reported usage',
  assumed: 'an estimate of one token a word',
}

function pointLines(point: BenchPoint | undefined): string[] {
  if (point === undefined) return []
  const { summary, runs } = point
  const rows = latencyRows.map(([key, name]) => {
    const figures = percentileColumns.map((column) => showWithInterval(summary, `${key}${column}`))
    return [`${name} ms`].concat(figures, showNumber(summary[`${key}Count`]))
  })
  const first = runs[0]
  const window = first === undefined ? '' : windowText(first)
  const cached = summary['cachedShare'] ?? null
  return [
    window,
    '',
    ...tableLines([['', 'p50', 'p90', 'p99', 'mean', 'max', 'n'], ...rows]),
    '',
    `output ${showWithInterval(summary, 'outputTokPerS')} tok/s · input ${showNumber(summary['inputTokPerS'])} tok/s · per user ${showNumber(summary['tokPerSUserP50'])} tok/s (p50)`,
    `requests ${showWithInterval(summary, 'requestsPerS')} /s · goodput ${showWithInterval(summary, 'goodputRps')} /s · concurrency ${showNumber(summary['concurrencyMean'])}`,
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

/** Means and greatest values of what the server said about itself. */
export function serverFigures(runs: readonly RunResult[]): Record<string, number> {
  const samples = runs.flatMap((run) => run.serverSamples)
  const figures: Record<string, number> = {}
  for (const key of ['running', 'waiting', 'kvCacheUsage'] as const) {
    const values = samples.map((sample) => sample[key]).filter((value) => value !== undefined)
    if (values.length === 0) continue
    figures[`${key}Mean`] = values.reduce((sum, value) => sum + value, 0) / values.length
    figures[`${key}Max`] = values.reduce((most, value) => Math.max(most, value), -Infinity)
  }
  for (const key of ['preemptions', 'prefixQueries', 'prefixHits'] as const) {
    const grown = runs.map((run) => {
      const values = run.serverSamples.map((sample) => sample[key]).filter((value) => value !== undefined)
      return (values.at(-1) ?? 0) - (values[0] ?? 0)
    })
    if (samples.some((sample) => sample[key] !== undefined)) figures[key] = grown.reduce((sum, each) => sum + each, 0)
  }
  return figures
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
  const rows = result.points.map(({ label, summary, runs }) => [
    label,
    showWithInterval(summary, 'outputTokPerS'),
    showNumber(summary['tokPerSUserP50']),
    showWithInterval(summary, 'ttftMsP50'),
    showNumber(summary['ttftMsP99']),
    showWithInterval(summary, 'tpotMsP50'),
    showNumber(summary['tpotMsP99']),
    showNumber(summary['goodputRps']),
    showPercent(summary['attainmentWorstClass']),
    showNumber(summary['errors']),
    runs.some((run) => run.saturation?.oversaturated === true) ? 'over-saturated' : '',
  ])
  const head = ['', 'tok/s', 'tok/s user', 'TTFT p50', 'p99', 'TPOT p50', 'p99', 'goodput/s', 'attained', 'errors', '']
  return [head, ...rows]
}

function ratioLines(ratios: NonNullable<BenchResult['ratios']>): string[] {
  const rows = Object.entries(ratios).map(([key, { ratio, low, high }]) => {
    const { name, text } = verdictOf(key, { ratio, low, high })
    return [name, ratio.toFixed(3), `[${low.toFixed(3)}, ${high.toFixed(3)}]`, text]
  })
  return tableLines([['B / A', 'ratio', '95 % interval', ''], ...rows])
}

function classLines(result: BenchResult, runs: readonly RunResult[]): string[] {
  const classes = runs[0]?.classes ?? []
  if (!classes.some((each) => hasObjectives(each.objectives)) || result.kind !== 'run') return []
  const rows = classes.map((each, index) => {
    const all = runs.map((run) => run.classes[index])
    const offered = all.reduce((sum, one) => sum + (one?.offered ?? 0), 0)
    const good = all.reduce((sum, one) => sum + (one?.good ?? 0), 0)
    const interval =
      runs.length === 1 ? ` [${showPercent(each.attainmentLow)}, ${showPercent(each.attainmentHigh)}]` : ''
    return [
      each.name,
      describeObjectives(each.objectives),
      `${showPercent(offered === 0 ? null : good / offered)}${interval}`,
      `${good} of ${offered}`,
    ]
  })
  return ['', ...tableLines([['class', 'objectives', 'attained', 'good'], ...rows])]
}

export function describeObjectives(objectives: Objectives): string {
  const parts = [
    ['TTFT', objectives.ttftMs],
    ['TPOT', objectives.tpotMs],
    ['stall', objectives.stallMs],
    ['e2e', objectives.e2eMs],
  ] as const
  const stated = parts.filter(([, ms]) => ms !== undefined).map(([name, ms]) => `${name} ≤ ${ms} ms`)
  return stated.length === 0 ? 'none' : stated.join(', ')
}

function warningLines(result: BenchResult, runs: readonly RunResult[]): string[] {
  const warnings = new Set([...result.notes, ...runs.flatMap((run) => run.warnings)])
  const shown = result.kind === 'run' || result.kind === 'compare' ? [...warnings] : result.notes
  return shown.length === 0 ? [] : ['', ...shown.map((line) => `note: ${line}`)]
}

/** The highest load of a sweep up to which every load met its objectives; undefined where the lowest did not. */
export function heldUpTo(points: readonly BenchPoint[], attainmentTarget: number): BenchPoint | undefined {
  const rising = points.toSorted((a, b) => a.load - b.load)
  const missed = rising.findIndex((point) => objectivesHeld(point.runs, attainmentTarget) === false)
  return missed < 0 ? rising.at(-1) : rising[missed - 1]
}

/** One sentence for people and logs; the exit code says the same. */
export function verdictLine(result: BenchResult): string {
  if (!result.valid) return `INVALID: ${distinctProblems(result.points.flatMap((point) => point.runs)).join(' ')}`
  const target = showPercent(result.attainmentTarget)
  if (result.sloHeld === null) return 'Measured; no objectives were stated.'
  if (result.kind === 'sweep' && !result.sloHeld) {
    const held = heldUpTo(result.points, result.attainmentTarget)
    return held === undefined
      ? `Objectives missed at every load: a class stayed below ${target}.`
      : `Objectives held up to ${held.label}: at least ${target} of every class. Missed beyond.`
  }
  return result.sloHeld
    ? `Objectives held: at least ${target} of every class.`
    : `Objectives missed: a class stayed below ${target}.`
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
