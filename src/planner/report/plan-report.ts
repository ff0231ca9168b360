import { renderReport, type Section } from '../../report/index.ts'
import type { Assumptions, Choice, Demand, Recommendation } from '../search/choice.ts'
import { calibration } from '../timing/calibration.ts'
import { usdPerGpuHour } from '../timing/cost.ts'
import { paretoSections } from './plots.ts'
import { accuracySection, choicesSection, costSection, precisionSection, rejectedSection } from './tables.ts'
import { nameOf, objectives, rateText, riskText } from './words.ts'

export interface PlanReportFacts {
  readonly model: string
  readonly modelSource: string
  readonly command: string
  readonly demand: Demand
  readonly recommendation: Recommendation
  readonly usdPerKwh: number
  readonly pue: number
  readonly version: string
  readonly assumptions: Assumptions
  /** Day on which the page was made: `2026-11-28`. */
  readonly date: string
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
        : `${nameOf(best)}: ${best.replicas} × ${best.prediction.gpus} GPUs${best.usdPerHour === undefined ? '' : `, ${best.usdPerHour.toFixed(2)} USD/h`}. ${riskText(best.risks)}`,
    command: facts.command,
    environment: {
      tokenmill: facts.version,
      calibration: `version ${calibration.version}, ${calibration.rows} measurements`,
      model: facts.modelSource,
    },
    sections: [
      ...(best === undefined ? [] : [headline(best)]),
      assumptionsSection(facts),
      ...paretoSections(recommendation, demand),
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

/** What the plan takes for granted, so that a reader can disagree with it. */
function assumptionsSection({ recommendation, demand, assumptions, date, usdPerKwh, pue }: PlanReportFacts): Section {
  const gpus = new Map(
    [...recommendation.choices, ...recommendation.rejected]
      .flatMap(({ sweep }) => sweep)
      .map(({ facts: { deployment } }) => [deployment.gpu.id, deployment.gpu]),
  )
  const prices = [...gpus.values()].map((gpu) => {
    const price = usdPerGpuHour(gpu, assumptions.priceTier)
    const rent = price === undefined ? 'no price known' : `${price.usd} USD/h (${price.tier})`
    return ['price of a GPU', `${gpu.name}: ${rent}; ${gpu.source}`]
  })
  const percent = (share: number) => `${(100 * share).toFixed(0)} %`
  return {
    kind: 'table',
    title: 'Assumptions',
    columns: [{ label: 'of' }, { label: 'assumed' }],
    rows: [
      ['date', date],
      ['load', `${demand.inputTokens} tokens in, ${demand.outputTokens} out; ${rateText(demand)}`],
      [
        'objectives',
        `${objectives(demand)}, met by the ${assumptions.risk === 'safe' ? 'unfavourable end of the interval' : 'likeliest value'}`,
      ],
      ...prices,
      ['utilisation', percent(assumptions.utilisation)],
      ['prompt found in the prefix cache', percent(assumptions.prefixHit)],
      ['tokens per step', String(assumptions.tokensPerStep)],
      ['electricity', `${usdPerKwh} USD/kWh, PUE ${pue}`],
    ],
  }
}
