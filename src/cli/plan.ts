import { z } from 'zod'
import packageJson from '../../package.json' with { type: 'json' }
import { TokenmillError } from '../core/index.ts'
import type * as planner from '../planner/index.ts'
import type { Choice, Demand, FoldedChoice, Recommendation } from '../planner/index.ts'
import { plannerOptions } from '../planner/options.ts'
import { writeOutputFile } from './output-file.ts'
import { defineCommand } from './command.ts'
import type { ResolvedModel } from '../model/index.ts'
import { modelLines } from './plan-deployment.ts'
import { planExplain } from './plan-explain.ts'
import { planFitMemory } from './plan-fit-memory.ts'
import {
  engineOption,
  gpuOption,
  jsonOption,
  lengthOptions,
  modelOption,
  objectiveOptions,
  overrideOption,
  precisionOption,
} from './plan-options.ts'
import { planPrecision } from './plan-precision.ts'
import { planPredict } from './plan-predict.ts'
import { textTable } from './text-table.ts'

const none: readonly string[] = []

const options = {
  model: modelOption,
  gpu: { ...gpuOption, repeatable: true, default: none, help: `${gpuOption.help}; the H100 unless given` },
  engine: { ...engineOption, repeatable: true, default: none, help: `${engineOption.help}; all that know the GPU` },
  precision: {
    ...precisionOption,
    repeatable: true,
    default: none,
    help: "Weights; the file's own format unless given, else bf16, fp8 and fp4 as the GPU has units",
  },
  ...lengthOptions,
  ...objectiveOptions,
  rate: { schema: z.coerce.number().gt(0), value: '<n>', help: 'Requests per second of the fleet' },
  users: {
    schema: z.coerce.number().int().min(1),
    value: '<n>',
    help: 'Streams at once that never pause, in place of a rate',
  },
  risk: plannerOptions.risk,
  utilisation: plannerOptions.utilisation,
  priceTier: plannerOptions.priceTier,
  prefixHit: plannerOptions.prefixHit,
  tokensPerStep: plannerOptions.tokensPerStep,
  maxGpusPerReplica: plannerOptions.maxGpusPerReplica,
  disaggregated: {
    schema: z.boolean(),
    default: false,
    help: 'Consider prefill and decode on GPUs of their own too (not calibrated)',
  },
  usdPerKwh: plannerOptions.usdPerKwh,
  pue: plannerOptions.pue,
  override: overrideOption,
  html: { schema: z.string().min(1), value: '<file>', help: 'Write an offline report with the Pareto plot' },
  json: jsonOption,
} as const

export const plan = defineCommand({
  name: 'plan',
  summary: 'Find the cheapest way to serve a model within objectives, with intervals and reasons',
  options,
  examples: [
    'tokenmill plan --model llama-3.1-70b --gpu h100 --isl 2000 --osl 500 --slo-ttft 500ms --slo-tpot 25ms --rate 20',
    'tokenmill plan --model deepseek-r1 --gpu h200 --gpu b200 --slo-tpot 20ms --users 500 --html plan.html',
    'tokenmill plan --model llama-3.1-70b --slo-tpot 25ms --rate 20 --risk safe',
    'tokenmill plan explain --model llama-3.1-70b --gpu h100 --precision fp16',
    'tokenmill plan fit-memory --model qwen3-235b-a22b --gpu h200 --precision fp8 --tp 4',
    'tokenmill plan precision --model llama-3.1-70b --gpu h100',
    'tokenmill plan predict --in rows.csv --out predictions.csv',
  ],
  subcommands: [planExplain, planFitMemory, planPrecision, planPredict],
  async run(values, _positionals, io) {
    const [planner, { resolveModel }] = await Promise.all([import('../planner/index.ts'), import('../model/index.ts')])
    if (values.model === undefined) {
      throw new TokenmillError('invalid_request', 'plan needs --model: a catalog name, a Hugging Face id or a path.', {
        param: 'model',
      })
    }
    const model = resolveModel(values.model)
    const gpuNames = values.gpu.length > 0 ? values.gpu : ['h100_sxm']
    const gpus = gpuNames.map((name) => planner.overrideHardware(planner.resolveHardware(name), values.override))
    const { publishedFormat } = model.shape
    const unlessAsked = publishedFormat === undefined ? ['bf16', 'fp8', 'fp4'] : [publishedFormat]
    const formatNames = values.precision.length > 0 ? values.precision : unlessAsked
    const formats = formatNames.map((name) => planner.resolveFormat(name))
    const demand: Demand = {
      inputTokens: values.isl,
      outputTokens: values.osl,
      ...(values.sloTtft === undefined ? {} : { ttftMs: values.sloTtft }),
      ...(values.sloTpot === undefined ? {} : { tpotMs: values.sloTpot }),
      ...(values.rate === undefined ? {} : { ratePerSecond: values.rate }),
      ...(values.users === undefined ? {} : { users: values.users }),
    }
    const recommendation = planner.recommend(
      {
        shape: model.shape,
        gpus,
        ...(values.engine.length > 0 ? { engines: values.engine.map((name) => planner.resolveEngine(name)) } : {}),
        formats,
        nativeFormatsOnly: values.precision.length === 0 && publishedFormat === undefined,
        maxGpusPerReplica: values.maxGpusPerReplica,
        disaggregated: values.disaggregated,
      },
      demand,
      values,
    )
    if (values.json) io.stdout.write(`${JSON.stringify(toJson(recommendation, planner), undefined, 2)}\n`)
    else io.stdout.write(`${toText(recommendation, demand, model, planner).join('\n')}\n`)
    if (values.html !== undefined) {
      const page = planner.planReport({
        model: model.shape.name,
        modelSource: model.source,
        command: `tokenmill plan ${process.argv.slice(3).join(' ')}`,
        demand,
        recommendation,
        usdPerKwh: values.usdPerKwh,
        pue: values.pue,
        version: packageJson.version,
        assumptions: values,
        date: new Date().toISOString().slice(0, 10),
      })
      writeOutputFile(values.html, page, io)
    }
    return recommendation.choices.length > 0 ? 0 : 1
  },
})

type Planner = typeof planner

function toText(
  { choices, rejected }: Recommendation,
  demand: Demand,
  model: ResolvedModel,
  planner: Planner,
): readonly string[] {
  const [best] = choices
  const lines: string[] = [...modelLines(model), ...assumedLines(demand)]
  if (best === undefined) lines.push('No configuration meets the objectives.')
  else lines.push(...headline(best, demand, planner), ...otherKindLine(best, choices, planner))
  if (!model.verified) lines.push(`The shape of this model is unverified (${model.source}).`)
  const { shown, dominated } = planner.foldChoices(choices)
  if (shown.length > 0) {
    const rows = shown.slice(0, 12).map((row) => choiceRow(row, planner))
    const columns = [
      'configuration',
      'replicas',
      'GPUs',
      'at once',
      'TTFT ms',
      'TPOT ms',
      'tok/s/GPU',
      'USD/h',
      'USD/Mtok out',
      'J/token',
      '',
    ]
    lines.push('', textTable(columns, rows), '', "tight: the interval's unfavourable end misses an objective.")
    if (dominated > 0) {
      lines.push(`${dominated} more are folded: another is nowhere worse and somewhere better; --json lists all.`)
    }
  }
  if (rejected.length > 0) {
    lines.push('', `Why ${rejected.length} others fail:`)
    for (const { cause, rejected: own, nearest } of planner.groupRejections(rejected)) {
      lines.push(`  ${planner.causeNames[cause]}: ${own.length}; nearest ${own[0]?.deployment ?? ''}, ${nearest}`)
    }
    lines.push('  --json or --html list them.')
  }
  return lines
}

function choiceRow({ choice, equal }: FoldedChoice, planner: Planner): readonly string[] {
  const { ttftMs, tpotMs, tokensPerSecondPerGpu, joulesPerOutputToken, extrapolated, concurrency } = choice.prediction
  const marks = [
    ...(choice.risks.length === 0 ? [] : ['tight']),
    ...(extrapolated.length > 0 ? ['extrapolated'] : []),
    ...(equal.length === 0 ? [] : [`and ${equal.length} equal`]),
  ]
  return [
    planner.describePrediction(choice.prediction),
    String(choice.replicas),
    String(choice.gpus),
    String(concurrency),
    ttftMs.value.toFixed(0),
    tpotMs.value.toFixed(1),
    tokensPerSecondPerGpu.value.toFixed(0),
    choice.usdPerHour?.toFixed(2) ?? '–',
    choice.usdPerMillionOutput?.toFixed(3) ?? '–',
    joulesPerOutputToken?.value.toFixed(2) ?? '–',
    marks.join(', '),
  ]
}

/** What a plan takes for granted where nothing was asked. */
function assumedLines({ ratePerSecond, users, inputTokens, outputTokens, ttftMs, tpotMs }: Demand): readonly string[] {
  const assumed = [
    ...(ratePerSecond === undefined && users === undefined ? ['one stream at a time (--rate or --users)'] : []),
    ...(ttftMs === undefined && tpotMs === undefined ? ['no objectives (--slo-ttft, --slo-tpot)'] : []),
  ]
  if (assumed.length === 0) return []
  return [`Assumed: ${assumed.join('; ')}; ${inputTokens} tokens in, ${outputTokens} out (--isl, --osl).`]
}

function headline(best: Choice, { ttftMs, tpotMs }: Demand, planner: Planner): string[] {
  const { prediction: p } = best
  const cost = best.usdPerHour === undefined ? '' : `, ${best.usdPerHour.toFixed(2)} USD/h (${p.priceTier})`
  return [
    `Use ${planner.describePrediction(p)}: ${counted(best.replicas, 'replica')}, ${counted(best.gpus, 'GPU')}${cost}.`,
    `Up to ${p.concurrency} requests at once per replica: TTFT ${p.ttftMs.value.toFixed(0)} ms (${p.ttftMs.low.toFixed(0)} to ${p.ttftMs.high.toFixed(0)}), TPOT ${p.tpotMs.value.toFixed(1)} ms (${p.tpotMs.low.toFixed(1)} to ${p.tpotMs.high.toFixed(1)}), 80 % intervals.`,
    ...(ttftMs === undefined && tpotMs === undefined ? [] : [planner.riskText(best.risks)]),
    ...(p.disaggregation === undefined ? [] : [transferLine(p.disaggregation)]),
    ...p.extrapolated.map((reason) => `Extrapolated: ${reason}.`),
  ]
}

function transferLine(one: NonNullable<Choice['prediction']['disaggregation']>): string {
  return `Each prompt hands over ${(one.transferBytes / 1e6).toFixed(0)} MB of KV cache by ${one.link} links of ${one.linkGbS} GB/s per GPU: ${one.transferMs.toFixed(1)} ms at their peak. Prefill replicas are busy ${(100 * one.prefillBusy).toFixed(0)} % of the time.`
}

/** Where the cheapest unit of the other kind stands, so that the two can be weighed. */
function otherKindLine(best: Choice, choices: readonly Choice[], planner: Planner): string[] {
  const apart = best.prediction.disaggregation !== undefined
  const other = choices.find(({ prediction }) => (prediction.disaggregation !== undefined) !== apart)
  if (other === undefined) return []
  const kind = apart ? 'Together on the same GPUs' : 'With prefill and decode apart'
  const cost = other.usdPerHour === undefined ? '' : `, ${other.usdPerHour.toFixed(2)} USD/h`
  const transfer = other.prediction.disaggregation
  return [
    `${kind} the cheapest is ${planner.describePrediction(other.prediction)}: ${other.gpus} GPUs${cost}, TTFT ${other.prediction.ttftMs.value.toFixed(0)} ms, TPOT ${other.prediction.tpotMs.value.toFixed(1)} ms${transfer === undefined ? '' : ` (${other.prediction.extrapolated[0] ?? ''})`}.`,
    ...(transfer === undefined ? [] : [transferLine(transfer)]),
  ]
}

function toJson({ choices, rejected }: Recommendation, planner: Planner) {
  return {
    choices: choices.map((choice) => ({
      configuration: planner.describePrediction(choice.prediction),
      engine: choice.deployment.engine.id,
      gpu: choice.deployment.gpu.id,
      precision: choice.deployment.precision.format.id,
      tp: choice.deployment.tp,
      pp: choice.deployment.pp,
      ep: choice.deployment.ep,
      dp: choice.deployment.dp,
      disaggregation: toDisaggregationJson(choice.prediction.disaggregation),
      replicas: choice.replicas,
      gpus: choice.gpus,
      concurrencyPerReplica: choice.prediction.concurrency,
      requestsPerSecondPerReplica: choice.requestsPerSecond,
      ttftMs: choice.prediction.ttftMs,
      tpotMs: choice.prediction.tpotMs,
      tokensPerSecondPerGpu: choice.prediction.tokensPerSecondPerGpu,
      tokensPerSecondPerUser: choice.prediction.tokensPerSecondPerUser,
      joulesPerOutputToken: choice.prediction.joulesPerOutputToken,
      usdPerHour: choice.usdPerHour,
      usdPerMillionOutputTokens: choice.usdPerMillionOutput,
      usdPerMillionInputTokens: choice.usdPerMillionInput,
      usdPerMillionTotalTokens: choice.usdPerMillionTotal,
      intervalMeetsObjectives: choice.risks.length === 0,
      risks: choice.risks,
      extrapolated: choice.prediction.extrapolated,
    })),
    rejected: rejected.map(({ deployment, cause, reason }) => ({ deployment, cause, reason })),
  }
}

/** Undefined, and so absent from JSON, where prefill and decode share GPUs. */
function toDisaggregationJson(one: Choice['prediction']['disaggregation']) {
  if (one === undefined) return undefined
  const side = ({ deployment: { tp, pp, ep, dp } }: typeof one.prefill, replicas: number) => ({
    replicas,
    tp,
    pp,
    ep,
    dp,
  })
  const { transferBytes, transferMs, link, linkGbS, prefillBusy } = one
  return {
    prefill: side(one.prefill, one.prefillReplicas),
    decode: side(one.decode, one.decodeReplicas),
    transferBytes,
    transferMs,
    link,
    linkGbS,
    prefillBusy,
  }
}

function counted(count: number, name: string): string {
  return `${count} ${name}${count === 1 ? '' : 's'}`
}
