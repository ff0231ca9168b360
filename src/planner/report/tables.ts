import type { Section, TableColumn } from '../../report/index.ts'
import type { Choice, Recommendation, RiskOfMiss } from '../search/choice.ts'
import { foldChoices, type FoldedChoice } from '../search/fold.ts'
import { comparePrecisions } from '../search/precision-comparison.ts'
import { causeNames, groupRejections } from '../search/rejections.ts'
import { energyUsdPerMillionTokens } from '../timing/cost.ts'
import { describeParallelism } from '../timing/describe.ts'
import { numberFormats } from '../work/precision.ts'
import { nameOf, unbroken } from './words.ts'

export function choicesSection({ choices }: Recommendation): Section {
  const columns: readonly TableColumn[] = [
    { label: 'configuration' },
    { label: 'replicas' },
    { label: 'GPUs' },
    { label: 'at once' },
    { label: 'TTFT', unit: 'ms', digits: 0 },
    { label: 'TPOT', unit: 'ms', digits: 1 },
    { label: 'tok/s per GPU', digits: 0 },
    { label: 'cost', unit: 'USD/h', digits: 2 },
    { label: 'risk' },
    { label: 'extrapolated' },
  ]
  const { shown, dominated } = foldChoices(choices)
  const folded =
    dominated === 0
      ? ''
      : ` ${dominated} more are folded: another one is nowhere worse in cost, GPUs, TTFT, TPOT and throughput, and somewhere better.`
  return {
    kind: 'table',
    title: 'Configurations that meet the objectives, cheapest first',
    note: `At once: requests in flight on one replica. Risk: by how much the unfavourable end of the 80 % interval misses an objective.${folded}${extrapolationNote(choices)}`,
    columns,
    rows: shown
      .slice(0, 40)
      .map((row) => [
        rowName(row),
        row.choice.replicas,
        row.choice.gpus,
        row.choice.prediction.concurrency,
        row.choice.prediction.ttftMs.value,
        row.choice.prediction.tpotMs.value,
        row.choice.prediction.tokensPerSecondPerGpu.value,
        row.choice.usdPerHour,
        row.choice.risks.length === 0 ? 'safe' : row.choice.risks.map(overText).join(', '),
        row.choice.prediction.extrapolated.length > 0,
      ]),
    highlighted: shown.length > 0 ? [0] : [],
  }
}

/** A row's configuration, and how many others no figure tells from it. */
function rowName({ choice, equal }: FoldedChoice): string {
  const others = equal.map(({ deployment }) => `${deployment.engine.id} ${describeParallelism(deployment)}`)
  return others.length === 0 ? nameOf(choice) : `${nameOf(choice)} (equal: ${others.join('; ')})`
}

/** `TPOT +25 %` */
function overText({ quantity, worstMs, objectiveMs }: RiskOfMiss): string {
  return `${quantity} +${(100 * (worstMs / objectiveMs - 1)).toFixed(0)} %`
}

/** The reasons behind "extrapolated", each once. */
function extrapolationNote(choices: readonly Choice[]): string {
  const reasons = new Set(choices.flatMap(({ prediction }) => prediction.extrapolated))
  return reasons.size === 0 ? '' : ` Extrapolated: ${[...reasons].join('; ')}.`
}

export function costSection(
  { choices }: Recommendation,
  { usdPerKwh, pue }: { readonly usdPerKwh: number; readonly pue: number },
): Section {
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
    rows: foldChoices(choices)
      .shown.slice(0, 20)
      .map(({ choice }) => [
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

/** Failures by cause, the nearest miss of each cause first. */
export function rejectedSection({ rejected }: Recommendation): Section {
  return {
    kind: 'table',
    title: 'Why the others fail',
    columns: [
      { label: 'cause' },
      { label: 'configurations' },
      { label: 'nearest' },
      { label: 'by' },
      { label: 'others' },
    ],
    rows: groupRejections(rejected).map(({ cause, rejected: own, nearest }) => {
      const [first, ...others] = own.map(({ deployment }) => unbroken(deployment))
      const named = others.slice(0, 12).join(', ')
      return [
        causeNames[cause],
        own.length,
        first,
        nearest,
        others.length > 12 ? `${named} and ${others.length - 12} more` : named,
      ]
    }),
  }
}

/** Formats on the recommended GPUs under the recommended load: what each gains, beside what it is known to cost. */
export function precisionSection(best: Choice): Section {
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

export function accuracySection(): Section {
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
