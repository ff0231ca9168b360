import { renderReport, type PlotSeries, type Section, type TableColumn } from '../report/index.ts'
import { comparePrecisions } from './search/precision-comparison.ts'
import type { Choice, Demand, Recommendation } from './search/recommend.ts'
import { calibration } from './timing/calibration.ts'
import { energyUsdPerMillionTokens } from './timing/cost.ts'
import { describePrediction } from './timing/describe.ts'
import type { Prediction } from './timing/predict.ts'
import { numberFormats } from './work/precision.ts'

export interface PlanReportFacts {
  readonly model: string
  readonly modelSource: string
  readonly command: string
  readonly demand: Demand
  readonly recommendation: Recommendation
  readonly usdPerKwh: number
  readonly pue: number
  readonly version: string
}

/** The offline page of a plan: the recommendation, the Pareto plot, cost and energy, and why the others fail. */
export function planReport(facts: PlanReportFacts): string {
  const { recommendation, demand } = facts
  const [best] = recommendation.choices
  return renderReport({
    title: `Plan for ${facts.model}`,
    summary:
      best === undefined
        ? 'No configuration meets the objectives; the reasons stand below.'
        : `${nameOf(best)}: ${best.replicas} × ${best.prediction.gpus} GPUs${best.usdPerHour === undefined ? '' : `, ${best.usdPerHour.toFixed(2)} USD/h`}.`,
    command: facts.command,
    environment: {
      tokenmill: facts.version,
      calibration: `version ${calibration.version}, ${calibration.rows} measurements`,
      model: facts.modelSource,
      load: `${demand.inputTokens} tokens in, ${demand.outputTokens} out`,
      objectives: objectives(demand),
    },
    sections: [
      ...(best === undefined ? [] : [headline(best)]),
      paretoSection(recommendation),
      choicesSection(recommendation),
      costSection(recommendation, facts),
      rejectedSection(recommendation),
      ...(best === undefined ? [] : [precisionSection(best)]),
      accuracySection(),
      {
        kind: 'prose',
        title: 'How far to trust this',
        paragraphs: [
          'Whiskers and ranges are 80 % intervals, from errors on models that the fit did not see. A configuration marked as extrapolated leaves what was measured; its intervals are wider.',
          'TTFT and TPOT are typical values of a closed loop, not tail percentiles. Energy is GPU power alone.',
        ],
      },
    ],
  })
}

function nameOf({ prediction }: Choice): string {
  return unbroken(describePrediction(prediction))
}

/** A configuration's name that a narrow column breaks before "on" alone. */
function unbroken(name: string): string {
  return name.replaceAll(' ', '\u00A0').replace('\u00A0on\u00A0', ' on\u00A0')
}

function objectives(demand: Demand): string {
  const parts: string[] = []
  if (demand.ttftMs !== undefined) parts.push(`TTFT ≤ ${demand.ttftMs} ms`)
  if (demand.tpotMs !== undefined) parts.push(`TPOT ≤ ${demand.tpotMs} ms`)
  if (demand.ratePerSecond !== undefined) parts.push(`${demand.ratePerSecond} requests/s`)
  if (demand.users !== undefined) parts.push(`${demand.users} users`)
  return parts.join(', ') || 'none'
}

function headline(best: Choice): Section {
  const { prediction } = best
  const range = (low: number, high: number, digits: number) => `${low.toFixed(digits)} to ${high.toFixed(digits)}`
  const { ttftMs, tpotMs, tokensPerSecondPerGpu: rate } = prediction
  return {
    kind: 'facts',
    facts: [
      {
        label: 'GPUs',
        value: String(best.gpus),
        note: `${best.replicas} ${best.replicas === 1 ? 'replica' : 'replicas'} of ${prediction.gpus}`,
      },
      { label: 'TTFT', value: `${ttftMs.value.toFixed(0)} ms`, note: range(ttftMs.low, ttftMs.high, 0) },
      { label: 'TPOT', value: `${tpotMs.value.toFixed(1)} ms`, note: range(tpotMs.low, tpotMs.high, 1) },
      { label: 'Output tokens/s per GPU', value: rate.value.toFixed(0), note: range(rate.low, rate.high, 0) },
      ...(best.usdPerMillionOutput === undefined
        ? []
        : [{ label: 'USD per million output tokens', value: best.usdPerMillionOutput.toFixed(3) }]),
    ],
  }
}

/** For each GPU and precision the points that no other point of theirs beats in both directions. */
function paretoSection({ choices, rejected }: Recommendation): Section {
  const points = [...choices.flatMap((choice) => choice.sweep), ...rejected.flatMap((one) => one.sweep)]
  const groups = Map.groupBy(
    points,
    ({ facts }) => `${facts.deployment.gpu.id} ${facts.deployment.precision.format.id}`,
  )
  return {
    kind: 'lines',
    title: 'Throughput against speed',
    description:
      'The best configurations of each GPU and precision, over engines, parallelism and load. Up and right is better; objectives are not applied here.',
    x: { label: 'tokens/s per user', scale: 'log' },
    y: { label: 'output tokens/s per GPU', scale: 'log' },
    series: [...groups]
      .sort(([a], [b]) => a.localeCompare(b))
      .map(([name, own]): PlotSeries => ({ name, points: paretoFront(own).map(toPoint) })),
  }
}

/** Points sorted by speed, each with more throughput than every faster one. */
export function paretoFront(points: readonly Prediction[]): readonly Prediction[] {
  const fastestFirst = points.toSorted((a, b) => b.tokensPerSecondPerUser.value - a.tokensPerSecondPerUser.value)
  let most = 0
  const front = fastestFirst.filter(({ tokensPerSecondPerGpu }) => {
    if (tokensPerSecondPerGpu.value <= most) return false
    most = tokensPerSecondPerGpu.value
    return true
  })
  return front.toReversed()
}

function toPoint(point: Prediction) {
  const { value, low, high } = point.tokensPerSecondPerGpu
  return {
    x: point.tokensPerSecondPerUser.value,
    y: value,
    low,
    high,
    label: `${describePrediction(point)}, ${point.concurrency} at once${point.extrapolated.length > 0 ? ' (extrapolated)' : ''}`,
  }
}

function choicesSection({ choices }: Recommendation): Section {
  const columns: readonly TableColumn[] = [
    { label: 'configuration' },
    { label: 'replicas' },
    { label: 'GPUs' },
    { label: 'at once' },
    { label: 'TTFT', unit: 'ms', digits: 0 },
    { label: 'TPOT', unit: 'ms', digits: 1 },
    { label: 'tok/s per GPU', digits: 0 },
    { label: 'cost', unit: 'USD/h', digits: 2 },
    { label: 'safe' },
    { label: 'extrapolated' },
  ]
  return {
    kind: 'table',
    title: 'Configurations that meet the objectives, cheapest first',
    note: `At once: requests in flight on one replica. Safe: the unfavourable end of the interval meets the objectives too.${extrapolationNote(choices)}`,
    columns,
    rows: choices
      .slice(0, 40)
      .map((choice) => [
        nameOf(choice),
        choice.replicas,
        choice.gpus,
        choice.prediction.concurrency,
        choice.prediction.ttftMs.value,
        choice.prediction.tpotMs.value,
        choice.prediction.tokensPerSecondPerGpu.value,
        choice.usdPerHour,
        choice.safe,
        choice.prediction.extrapolated.length > 0,
      ]),
    highlighted: choices.length > 0 ? [0] : [],
  }
}

/** The reasons behind "extrapolated", each once. */
function extrapolationNote(choices: readonly Choice[]): string {
  const reasons = new Set(choices.flatMap(({ prediction }) => prediction.extrapolated))
  return reasons.size === 0 ? '' : ` Extrapolated: ${[...reasons].join('; ')}.`
}

function costSection({ choices }: Recommendation, { usdPerKwh, pue }: PlanReportFacts): Section {
  return {
    kind: 'table',
    title: 'Cost and energy',
    note: `Rent per million tokens at the planned load; only requests within the objectives are served, so this is the cost at goodput. Electricity at ${usdPerKwh} USD/kWh and PUE ${pue} is part of the rent. Joules are GPU power, per output token.`,
    columns: [
      { label: 'configuration' },
      { label: 'output', unit: 'USD/Mtok', digits: 3 },
      { label: 'input', unit: 'USD/Mtok', digits: 3 },
      { label: 'total', unit: 'USD/Mtok', digits: 3 },
      { label: 'energy', unit: 'J/token', digits: 2 },
      { label: 'electricity', unit: 'USD/Mtok', digits: 4 },
    ],
    rows: choices
      .slice(0, 20)
      .map((choice) => [
        nameOf(choice),
        choice.usdPerMillionOutput,
        choice.usdPerMillionInput,
        choice.usdPerMillionTotal,
        choice.prediction.joulesPerOutputToken?.value,
        choice.prediction.joulesPerOutputToken === undefined
          ? undefined
          : energyUsdPerMillionTokens(choice.prediction.joulesPerOutputToken.value, usdPerKwh, pue),
      ]),
  }
}

function rejectedSection({ rejected }: Recommendation): Section {
  return {
    kind: 'table',
    title: 'Why the others fail',
    columns: [{ label: 'configuration' }, { label: 'reason' }],
    rows: rejected.slice(0, 200).map(({ deployment, reason }) => [unbroken(deployment), reason]),
  }
}

/** Formats on the recommended GPUs under the recommended load: what each gains, beside what it is known to cost. */
function precisionSection(best: Choice): Section {
  const { deployment, prediction } = best
  const { shape, gpu, engine } = deployment
  const rows = comparePrecisions({
    shape,
    gpu,
    engine,
    formats: numberFormats.filter((format) => format.wholeModel !== true),
    parallelism: deployment,
    load: prediction.load,
  })
  return {
    kind: 'table',
    title: 'What a precision gains',
    note: `On ${prediction.facts.gpus} × ${gpu.name} with ${engine.name}, ${prediction.concurrency} at once. Prefill and decode: BF16 time over the format’s, memory aside. Expanded: the GPU has no units for the format, or activations stay wide; bytes are saved, arithmetic is not.`,
    columns: [
      { label: 'format' },
      { label: 'bits per weight', digits: 2 },
      { label: 'weights', unit: 'GB', digits: 0 },
      { label: 'computed in' },
      { label: 'prefill', unit: '×', digits: 2 },
      { label: 'decode', unit: '×', digits: 2 },
      { label: 'TTFT', unit: 'ms', digits: 0 },
      { label: 'TPOT', unit: 'ms', digits: 1 },
      { label: 'tok/s per GPU', digits: 0 },
    ],
    rows: rows.map((row) => [
      row.format.id,
      row.format.bits,
      row.weightBytes / 1e9,
      row.native ? row.computedIn : `${row.computedIn}, expanded`,
      row.prefillFactor,
      row.decodeFactor,
      row.prediction?.ttftMs.value,
      row.prediction?.tpotMs.value,
      row.prediction?.tokensPerSecondPerGpu.value,
    ]),
    highlighted: rows.flatMap(({ format }, at) => (format.id === deployment.precision.format.id ? [at] : [])),
  }
}

function accuracySection(): Section {
  return {
    kind: 'table',
    title: 'What a precision costs in accuracy',
    note: 'As published, formats with results alone; measure the others on your task.',
    columns: [{ label: 'format' }, { label: 'published result' }, { label: 'source' }],
    rows: numberFormats.flatMap((format) =>
      (format.accuracy ?? []).map(({ result, source }) => [format.name, result, source]),
    ),
  }
}
