import { z } from 'zod'
import packageJson from '../../package.json' with { type: 'json' }
import { TokenmillError } from '../core/index.ts'
import type { Choice, Demand, Recommendation, describePrediction } from '../planner/index.ts'
import { plannerOptions } from '../planner/options.ts'
import { writeOutputFile } from './output-file.ts'
import { defineCommand, type Io } from './command.ts'
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
      })
      writeOutputFile(values.html, page, io)
    }
    if (values.json)
      io.stdout.write(`${JSON.stringify(toJson(recommendation, planner.describePrediction), undefined, 2)}\n`)
    else print(recommendation, model, planner.describePrediction, io)
    return recommendation.choices.length > 0 ? 0 : 1
  },
})

type Describe = typeof describePrediction

function nameOf({ prediction }: Choice, describe: Describe): string {
  return describe(prediction)
}

function print(
  { choices, rejected }: Recommendation,
  model: { readonly source: string; readonly verified: boolean },
  describe: Describe,
  io: Io,
): void {
  const [best] = choices
  const lines: string[] = []
  if (best === undefined) lines.push('No configuration meets the objectives.')
  else lines.push(...headline(best, describe), ...otherKindLine(best, choices, describe))
  if (!model.verified) lines.push(`The shape of this model is unverified (${model.source}).`)
  if (choices.length > 0) {
    const rows = choices
      .slice(0, 12)
      .map((choice) => [
        nameOf(choice, describe),
        String(choice.replicas),
        String(choice.gpus),
        String(choice.prediction.concurrency),
        choice.prediction.ttftMs.value.toFixed(0),
        choice.prediction.tpotMs.value.toFixed(1),
        choice.prediction.tokensPerSecondPerGpu.value.toFixed(0),
        choice.usdPerHour?.toFixed(2) ?? '–',
        choice.usdPerMillionOutput?.toFixed(3) ?? '–',
        choice.prediction.joulesPerOutputToken?.value.toFixed(2) ?? '–',
        `${choice.safe ? '' : 'tight '}${choice.prediction.extrapolated.length > 0 ? 'extrapolated' : ''}`.trim(),
      ])
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
  }
  if (rejected.length > 0) {
    lines.push('', `Why ${rejected.length} others fail:`)
    for (const { deployment, reason } of rejected.slice(0, 12)) lines.push(`  ${deployment}: ${reason}`)
    if (rejected.length > 12) lines.push(`  … and ${rejected.length - 12} more; --json or --html list them.`)
  }
  io.stdout.write(`${lines.join('\n')}\n`)
}

function headline(best: Choice, describe: Describe): string[] {
  const { prediction: p } = best
  const cost = best.usdPerHour === undefined ? '' : `, ${best.usdPerHour.toFixed(2)} USD/h (${p.priceTier})`
  return [
    `Use ${nameOf(best, describe)}: ${counted(best.replicas, 'replica')}, ${counted(best.gpus, 'GPU')}${cost}.`,
    `Up to ${p.concurrency} requests at once per replica: TTFT ${p.ttftMs.value.toFixed(0)} ms (${p.ttftMs.low.toFixed(0)} to ${p.ttftMs.high.toFixed(0)}), TPOT ${p.tpotMs.value.toFixed(1)} ms (${p.tpotMs.low.toFixed(1)} to ${p.tpotMs.high.toFixed(1)}), 80 % intervals.`,
    ...(p.disaggregation === undefined ? [] : [transferLine(p.disaggregation)]),
    ...p.extrapolated.map((reason) => `Extrapolated: ${reason}.`),
  ]
}

function transferLine(one: NonNullable<Choice['prediction']['disaggregation']>): string {
  return `Each prompt hands over ${(one.transferBytes / 1e6).toFixed(0)} MB of KV cache by ${one.link} links of ${one.linkGbS} GB/s per GPU: ${one.transferMs.toFixed(1)} ms at their peak. Prefill replicas are busy ${(100 * one.prefillBusy).toFixed(0)} % of the time.`
}

/** Where the cheapest unit of the other kind stands, so that the two can be weighed. */
function otherKindLine(best: Choice, choices: readonly Choice[], describe: Describe): string[] {
  const apart = best.prediction.disaggregation !== undefined
  const other = choices.find(({ prediction }) => (prediction.disaggregation !== undefined) !== apart)
  if (other === undefined) return []
  const kind = apart ? 'Together on the same GPUs' : 'With prefill and decode apart'
  const cost = other.usdPerHour === undefined ? '' : `, ${other.usdPerHour.toFixed(2)} USD/h`
  const transfer = other.prediction.disaggregation
  return [
    `${kind} the cheapest is ${nameOf(other, describe)}: ${other.gpus} GPUs${cost}, TTFT ${other.prediction.ttftMs.value.toFixed(0)} ms, TPOT ${other.prediction.tpotMs.value.toFixed(1)} ms${transfer === undefined ? '' : ` (${other.prediction.extrapolated[0] ?? ''})`}.`,
    ...(transfer === undefined ? [] : [transferLine(transfer)]),
  ]
}

function toJson({ choices, rejected }: Recommendation, describe: Describe) {
  return {
    choices: choices.map((choice) => ({
      configuration: nameOf(choice, describe),
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
      intervalMeetsObjectives: choice.safe,
      extrapolated: choice.prediction.extrapolated,
    })),
    rejected: rejected.map(({ deployment, reason }) => ({ deployment, reason })),
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
