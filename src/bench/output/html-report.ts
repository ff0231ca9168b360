import { formatBytes } from '../../core/index.ts'
import { renderReport, type PlotSeries, type Report, type Section } from '../../report/index.ts'
import type { DistributionKey } from '../metrics/aggregate.ts'
import { hasObjectives } from '../metrics/objectives.ts'
import {
  distinctProblems,
  mergedHistogram,
  type BenchPoint,
  type BenchResult,
  type RunResult,
  type TimelinePoint,
} from '../result.ts'
import { verdictOf } from '../search/ratios.ts'
import { showNumber, showPercent, showWithInterval } from './figures.ts'
import { describeObjectives, heldUpTo, lengthLabels, serverFigures, verdictLine } from './text-report.ts'

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
      ...(result.points.length > 1 ? [pointsTable(result)] : []),
      // Two endpoints at one load are no curve.
      ...(result.points.length > 1 && result.kind !== 'compare' ? paretoPlots([result]) : []),
      ...(result.ratios === undefined ? [] : [ratiosTable(result.ratios)]),
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

/** Several results over each other: their figures side by side, their curves in one plot each. */
function toOverlay(results: readonly BenchResult[], given: readonly string[]): Report {
  const names = new Set(given).size === results.length ? given : overlayNames(results)
  const named = results.map((result, index) => ({ result, name: names[index] ?? '' }))
  const rows = named.flatMap(({ result, name }) =>
    result.points.map(({ label, summary, runs }) => [
      name,
      label,
      showWithInterval(summary, 'outputTokPerS'),
      showWithInterval(summary, 'tokPerSUserP50'),
      showWithInterval(summary, 'ttftMsP50'),
      showNumber(summary['ttftMsP99']),
      showWithInterval(summary, 'tpotMsP50'),
      showNumber(summary['tpotMsP99']),
      showNumber(summary['goodputRps']),
      showPercent(summary['attainmentWorstClass']),
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
    'goodput /s',
    'attained',
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
          const point = pointOf(result)
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

/** What a result is known by: the load that held, or the last, which is the highest of a sweep. */
function pointOf(result: BenchResult): BenchPoint | undefined {
  const best = result.points.find((point) => point.load === result.summary['maxRateRps'])
  return (result.kind === 'goodput' ? best : undefined) ?? result.points.at(-1)
}

function overlayNames(results: readonly BenchResult[]): string[] {
  const plain = results.map((result) => result.target.model)
  return new Set(plain).size === plain.length
    ? plain
    : results.map((result, index) => `${index + 1}: ${result.target.model}`)
}

function environmentOf(result: BenchResult): Record<string, string> {
  const { environment } = result
  return {
    endpoint: result.target.url,
    date: result.startedAt,
    seed: String(result.seed),
    'prompt lengths by': lengthLabels[result.lengthsFrom],
    client: `tokenmill ${result.version}, Node ${environment.node}`,
    machine: `${environment.cpu}, ${environment.cores} cores, ${formatBytes(environment.memoryBytes)}`,
    system: `${environment.platform}, load ${environment.loadAverage}`,
  }
}

function headline(result: BenchResult): Section {
  const { summary } = result
  const fact = (label: string, key: string, note?: string): { label: string; value: string; note?: string } => ({
    label,
    value: showNumber(summary[key]),
    ...(summary[`${key}Low`] === undefined
      ? note === undefined
        ? {}
        : { note }
      : { note: `95 %: ${showNumber(summary[`${key}Low`])} to ${showNumber(summary[`${key}High`])}` }),
  })
  if (result.ratios !== undefined) return { kind: 'facts', facts: ratioFacts(result, result.ratios) }
  if (result.kind === 'sweep') return { kind: 'facts', facts: sweepFacts(result) }
  const facts = [
    ...(result.kind === 'goodput' ? [fact('Highest rate in time, requests/s', 'maxRateRps')] : []),
    fact('Output tokens/s', 'outputTokPerS'),
    fact('Tokens/s per user, p50', 'tokPerSUserP50'),
    fact('TTFT p50, ms', 'ttftMsP50'),
    fact('TTFT p99, ms', 'ttftMsP99'),
    fact('TPOT p50, ms', 'tpotMsP50'),
    fact('TPOT p99, ms', 'tpotMsP99'),
    ...(result.sloHeld === null
      ? []
      : [
          fact('Goodput, requests/s', 'goodputRps'),
          { label: 'Attainment, worst class', value: showPercent(summary['attainmentWorstClass']) },
        ]),
    ...((summary['usdPerMtokOutput'] ?? null) === null
      ? []
      : [fact('$ per million output tokens', 'usdPerMtokOutput')]),
    ...((summary['joulesPerOutputTok'] ?? null) === null ? [] : [fact('J per output token', 'joulesPerOutputTok')]),
    fact('Failed requests', 'errors', `of ${showNumber(summary['requests'])}`),
  ]
  return { kind: 'facts', facts }
}

/** What a comparison is made for: how B stands to A in the main figures, and who they are. */
function ratioFacts(
  { points }: BenchResult,
  ratios: NonNullable<BenchResult['ratios']>,
): { label: string; value: string; note?: string }[] {
  const main = ['ttftMsP50', 'ttftMsP99', 'tpotMsP50', 'tpotMsP99', 'outputTokPerS', 'goodputRps']
  const failed = points.map(({ label, summary }) => `${label} ${showNumber(summary['errors'])}`)
  return [
    ...main.flatMap((key) => {
      const ratio = ratios[key]
      if (ratio === undefined) return []
      const { name, text } = verdictOf(key, ratio)
      const note = `${text}; 95 %: ${ratio.low.toFixed(2)} to ${ratio.high.toFixed(2)}`
      return [{ label: `${name}, B over A`, value: ratio.ratio.toFixed(2), note }]
    }),
    { label: 'Failed requests', value: failed.join(', ') },
  ]
}

/** What a sweep is made for: the ends of its curve, and how far the objectives hold. */
function sweepFacts({
  points,
  sloHeld,
  attainmentTarget,
}: BenchResult): { label: string; value: string; note?: string }[] {
  const top = (label: string, key: string): { label: string; value: string; note?: string } => {
    const value = (point: BenchPoint): number => point.summary[key] ?? -Infinity
    const best = points.toSorted((a, b) => value(b) - value(a))[0]
    return best === undefined || value(best) === -Infinity
      ? { label, value: '–' }
      : { label, value: showNumber(value(best)), note: `at ${best.label}` }
  }
  const held = heldUpTo(points, attainmentTarget)
  const sum = (key: string): number => points.reduce((total, point) => total + (point.summary[key] ?? 0), 0)
  return [
    top('Most output tokens/s', 'outputTokPerS'),
    top('Most tokens/s per user, p50', 'tokPerSUserP50'),
    ...(sloHeld === null
      ? []
      : [
          top('Most goodput, requests/s', 'goodputRps'),
          { label: 'Objectives hold up to', value: held?.label ?? 'no load measured' },
        ]),
    { label: 'Failed requests', value: showNumber(sum('errors')), note: `of ${showNumber(sum('requests'))}` },
  ]
}

function latencySections(point: BenchPoint | undefined, runs: readonly RunResult[]): Section[] {
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
    const figures = columns.map((column) => showWithInterval(point.summary, `${key}${column}`))
    return [name as string].concat(figures, showNumber(point.summary[`${key}Count`]))
  })
  const window = runs[0]?.window
  const seconds = window === undefined ? 0 : (window.endMs - window.startMs) / 1000
  return [
    {
      kind: 'table',
      title: 'Latency, ms',
      note: `${window?.steady === true ? 'Steady state' : 'Whole run'} of ${showNumber(seconds)} s${runs.length > 1 ? `, ${runs.length} repeats, mean of their figures and 95 % bootstrap interval` : ''}. A dash: too few samples.`,
      columns: ['', 'p50', 'p90', 'p95', 'p99', 'p99.9', 'mean', 'max', 'n'].map((label) => ({ label })),
      rows,
    },
  ]
}

/** Points of a cumulative curve: enough for a smooth line, few enough for a small page. */
const curvePoints = 160
/** Left end of a logarithmic axis: below it a time is no time to anybody. */
const leastShownMs = 0.1

function distributionPlots(
  groups: readonly { readonly name: string; readonly runs: readonly RunResult[] }[],
): Section[] {
  const plots: [DistributionKey, string, string][] = [
    ['ttftMs', 'Time to first token', 'Share of answers whose first token came within the time.'],
    ['tpotMs', 'Time per output token', 'Share of answers whose mean pace was at most the time per token.'],
    [
      'iclMs',
      'Gaps between chunks',
      `Share of gaps up to the time: a long tail is stutter that means hide. Chunks that came together stand at ${leastShownMs} ms.`,
    ],
    ['stallMs', 'Longest stall', 'Share of answers whose longest gap was at most the time.'],
  ]
  return plots.flatMap(([key, title, description]): Section[] => {
    const series = groups.flatMap(({ name, runs }): PlotSeries[] => {
      const histogram = mergedHistogram(runs, key)
      if (histogram === undefined || histogram.count < 2) return []
      const all = histogram.cumulative()
      const step = Math.max(1, Math.floor(all.length / curvePoints))
      const kept = all.filter((point, index) => index % step === 0 || point.share > 0.98)
      return [
        {
          name,
          style: 'steps',
          points: kept.map(({ value, share }) => ({ x: Math.max(value, leastShownMs), y: share * 100 })),
        },
      ]
    })
    if (series.length === 0) return []
    const x = { label: title, unit: 'ms', scale: 'log' as const }
    return [{ kind: 'lines', title, description, x, y: { label: 'share', unit: '%', min: 0, max: 100 }, series }]
  })
}

function timelines(runs: readonly RunResult[]): Section[] {
  const run = runs.at(-1)
  if (run === undefined) return []
  const { points } = run.timeline
  const line = (name: string, value: (point: TimelinePoint) => number | null): PlotSeries => ({
    name,
    points: points.flatMap((point) => {
      const y = value(point)
      return y === null ? [] : [{ x: point.atMs / 1000, y }]
    }),
  })
  const x = { label: 'time', unit: 's' }
  const seconds = (ms: number): string => showNumber(ms / 1000)
  const window = `The measured window is ${seconds(run.window.startMs)} s to ${seconds(run.window.endMs)} s.`
  return [
    {
      kind: 'lines',
      title: 'Latency along the run',
      description: `TTFT of the requests scheduled at a time. A steady state is flat. ${window}`,
      x,
      y: { label: 'TTFT', unit: 'ms', min: 0 },
      series: [line('p50', (point) => point.ttftMsP50), line('p99', (point) => point.ttftMsP99)],
    },
    {
      kind: 'lines',
      title: 'Throughput along the run',
      description: `Output tokens by the time at which they arrived. ${window}`,
      x,
      y: { label: 'output tokens/s', min: 0 },
      series: [line('output tokens/s', (point) => point.outputTokPerS)],
    },
    {
      kind: 'lines',
      title: 'Load along the run',
      description: `Requests that ran at once, and requests that failed. Rising concurrency at a constant rate means over-saturation. ${window}`,
      x,
      y: { label: 'requests', min: 0 },
      series: [line('concurrency', (point) => point.concurrency), line('failed', (point) => point.failed)],
    },
  ]
}

function paretoPlots(results: readonly BenchResult[], names?: readonly string[]): Section[] {
  const series = results.flatMap((result, index): PlotSeries[] => {
    const points = result.points.flatMap(({ label, summary }) => {
      const [x, y] = [summary['tokPerSUserP50'] ?? null, summary['outputTokPerS'] ?? null]
      if (x === null || y === null) return []
      const [low, high] = [summary['outputTokPerSLow'] ?? undefined, summary['outputTokPerSHigh'] ?? undefined]
      return [{ x, y, label, ...(low === undefined || high === undefined ? {} : { low, high }) }]
    })
    const name = names?.[index] ?? result.target.model
    return points.length === 0 ? [] : [{ name, points: points.toSorted((a, b) => a.x - b.x) }]
  })
  if (series.every((each) => each.points.length < 2)) return []
  return [
    {
      kind: 'lines',
      title: 'Throughput against interactivity',
      description:
        'Each point is a load. Further right is faster for each user, further up is more tokens for all of them.',
      x: { label: 'tokens/s per user, p50', min: 0 },
      y: { label: 'output tokens/s', min: 0 },
      series,
    },
  ]
}

function attainmentSections(result: BenchResult): Section[] {
  const classes = result.points[0]?.runs[0]?.classes ?? []
  if (!classes.some((each) => hasObjectives(each.objectives))) return []
  const share = (point: BenchPoint, index: number): number => {
    const all = point.runs.map((run) => run.classes[index])
    const offered = all.reduce((sum, each) => sum + (each?.offered ?? 0), 0)
    return (100 * all.reduce((sum, each) => sum + (each?.good ?? 0), 0)) / Math.max(1, offered)
  }
  const table: Section = {
    kind: 'table',
    title: 'Objectives',
    note: `Attainment is good requests over all offered: errors, refusals and timeouts are misses. Target ${showPercent(result.attainmentTarget)}.`,
    columns: ['class', 'objectives', ...result.points.map((point) => point.label)].map((label) => ({ label })),
    rows: classes.map((each, index) => [
      each.name,
      describeObjectives(each.objectives),
      ...result.points.map((point) => `${share(point, index).toFixed(1)} %`),
    ]),
  }
  if (result.points.length < 2 || result.kind === 'compare') {
    const bars: Section = {
      kind: 'bars',
      title: 'Attainment by class',
      description: `Share of offered requests that met all their objectives; ${showPercent(result.attainmentTarget)} was asked for.`,
      categories: classes.map((each) => each.name),
      y: { label: 'attainment', unit: '%', min: 0, max: 100 },
      horizontal: true,
      series: result.points.map((point) => ({
        name: point.label,
        values: classes.map((_, index) => share(point, index)),
      })),
    }
    return [table, bars]
  }
  const target = result.attainmentTarget * 100
  const loads = result.points.map((point) => point.load)
  return [
    table,
    {
      kind: 'lines',
      title: 'Attainment against load',
      description: 'Where a line falls below the target, that class no longer gets what it was promised.',
      x: { label: result.loop === 'open' ? 'requests/s' : 'users' },
      y: { label: 'attainment', unit: '%', min: 0, max: 100 },
      series: [
        ...classes.map((each, index) => ({
          name: each.name,
          points: result.points.map((point) => ({ x: point.load, y: share(point, index) })),
        })),
        {
          name: 'target',
          dashed: true,
          points: [Math.min(...loads), Math.max(...loads)].map((x) => ({ x, y: target })),
        },
      ],
    },
  ]
}

function pointsTable(result: BenchResult): Section {
  const labels = [
    result.kind === 'compare' ? 'endpoint' : 'load',
    'output tok/s',
    'tok/s per user',
    'TTFT p50 ms',
    'p99',
    'TPOT p50 ms',
    'p99',
    'goodput /s',
    'failed',
    '',
  ]
  const best = result.points.findIndex((point) => point.load === result.summary['maxRateRps'])
  return {
    kind: 'table',
    title: result.kind === 'compare' ? 'Endpoints' : 'Loads',
    columns: labels.map((label) => ({ label })),
    rows: result.points.map(({ label, summary, runs }, index) => [
      result.kind === 'compare' ? `${label}: ${result.target.url.split(' and ')[index] ?? ''}` : label,
      showWithInterval(summary, 'outputTokPerS'),
      showWithInterval(summary, 'tokPerSUserP50'),
      showWithInterval(summary, 'ttftMsP50'),
      showNumber(summary['ttftMsP99']),
      showWithInterval(summary, 'tpotMsP50'),
      showNumber(summary['tpotMsP99']),
      showNumber(summary['goodputRps']),
      showNumber(summary['errors']),
      runs.some((run) => run.saturation?.oversaturated === true)
        ? 'over-saturated'
        : runs.some((run) => run.problems.length > 0)
          ? 'invalid'
          : '',
    ]),
    ...(best < 0 || result.kind !== 'goodput' ? {} : { highlighted: [best] }),
  }
}

function ratiosTable(ratios: NonNullable<BenchResult['ratios']>): Section {
  return {
    kind: 'table',
    title: 'B over A',
    note: 'Geometric mean over pairs of runs with equal seeds, and its 95 % bootstrap interval. An interval that holds 1 shows no difference.',
    columns: ['figure', 'ratio', 'low', 'high', ''].map((label) => ({ label, digits: 3 })),
    rows: Object.entries(ratios).map(([key, ratio]) => {
      const { name, text } = verdictOf(key, ratio)
      return [name, ratio.ratio, ratio.low, ratio.high, text]
    }),
  }
}

/** A cache that is empty throughout needs no plot. */
const leastShownKvPercent = 1

function serverPlots(runs: readonly RunResult[], server: string): Section[] {
  const run = runs.at(-1)
  const samples = run?.serverSamples ?? []
  const line = (name: string, key: 'running' | 'waiting' | 'kvCacheUsage', factor = 1): PlotSeries => ({
    name,
    points: samples.flatMap((sample) => {
      const value = sample[key]
      return value === undefined || sample.atMs < 0 ? [] : [{ x: sample.atMs / 1000, y: value * factor }]
    }),
  })
  const queue = [line('running', 'running'), line('waiting', 'waiting')].filter((each) => each.points.length > 1)
  if (queue.length === 0) return []
  const kv = line('KV cells in use', 'kvCacheUsage', 100)
  const figures = serverFigures(runs)
  const preemptions = figures['preemptions'] === undefined ? '' : ` Preemptions: ${figures['preemptions']}.`
  const x = { label: 'time', unit: 's' }
  return [
    {
      kind: 'lines',
      title: `What ${server} says`,
      description: `Its own counts of running and waiting requests, read once a second.${preemptions}`,
      x,
      y: { label: 'requests', min: 0 },
      series: queue,
    },
    ...(!kv.points.some((point) => point.y >= leastShownKvPercent)
      ? []
      : [
          {
            kind: 'lines' as const,
            title: `KV cache of ${server}`,
            description: 'Share of KV cells in use.',
            x,
            y: { label: 'in use', unit: '%', min: 0, max: 100 },
            series: [kv],
          },
        ]),
  ]
}

function failuresTable(runs: readonly RunResult[]): Section {
  const rows = runs.flatMap((run) => run.failures).map(({ message, count }) => [message, count])
  if (rows.length === 0)
    return { kind: 'prose', title: 'Failures', paragraphs: ['None: every request was answered completely.'] }
  return { kind: 'table', title: 'Failures', columns: [{ label: 'what' }, { label: 'requests', digits: 0 }], rows }
}

function clientTable(result: BenchResult): Section {
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

function notesOf(result: BenchResult, runs: readonly RunResult[]): Section {
  const notes = [...new Set([...result.notes, ...distinctProblems(runs), ...runs.flatMap((run) => run.warnings)])]
  return { kind: 'prose', title: 'Notes', paragraphs: notes.length === 0 ? ['None.'] : notes }
}

const definitions: Section = {
  kind: 'prose',
  title: 'Definitions',
  paragraphs: [
    't₀ is the scheduled send, s the actual send, c₁ … c_m the arrivals of chunks with content, n the output tokens that the server reports.',
    'TTFT = c₁ − t₀. TPOT = (c_m − c₁)/(n − 1). Gap between chunks = c_{i+1} − c_i, all pooled; ITL per token = that gap divided by the tokens of the later chunk. Longest stall = the largest gap of an answer. End to end = c_m − t₀. Interactivity = 1000/TPOT.',
    'Throughput = output tokens that arrived within the window over its length. Attainment = requests that met all their objectives over all offered, failures included. Goodput = those requests over the window. docs/bench.md compares these with vLLM, AIPerf, GuideLLM, inference-perf and others.',
  ],
}
