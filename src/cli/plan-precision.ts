import { z } from 'zod'
import { TokenmillError } from '../core/index.ts'
import type { PrecisionComparison, PrecisionQuestion, SparsityComparison } from '../planner/index.ts'
import { defineCommand } from './command.ts'
import {
  engineOption,
  gpuOption,
  jsonOption,
  lengthOptions,
  modelOption,
  overrideOption,
  parallelOptions,
  precisionOption,
} from './plan-options.ts'
import { textTable } from './text-table.ts'

const options = {
  model: modelOption,
  gpu: { ...gpuOption, default: 'h100_sxm' },
  engine: { ...engineOption, default: 'vllm' },
  precision: {
    ...precisionOption,
    repeatable: true,
    default: [] as readonly string[],
    help: 'Formats to compare; all unless given',
  },
  ...lengthOptions,
  concurrency: { schema: z.coerce.number().gt(0), default: 8, value: '<n>', help: 'Requests in flight' },
  ...parallelOptions,
  override: overrideOption,
  json: jsonOption,
} as const

export const planPrecision = defineCommand({
  name: 'precision',
  summary: 'Compare number formats: bytes, speed and published accuracy loss, side by side',
  options,
  examples: [
    'tokenmill plan precision --model llama-3.1-70b --gpu h100',
    'tokenmill plan precision --model deepseek-r1 --gpu b200 --engine trtllm --tp 8 --concurrency 64',
  ],
  async run(values, _positionals, io) {
    const [planner, { resolveModel }] = await Promise.all([import('../planner/index.ts'), import('../model/index.ts')])
    if (values.model === undefined) {
      throw new TokenmillError(
        'invalid_request',
        'Name the model with --model: a catalog name, a Hugging Face id or a path.',
        { param: 'model' },
      )
    }
    const model = resolveModel(values.model)
    const gpu = planner.overrideHardware(planner.resolveHardware(values.gpu), values.override)
    const formats =
      values.precision.length > 0 ? values.precision.map((name) => planner.resolveFormat(name)) : planner.numberFormats
    const { pp, ep, dp } = values
    const engine = planner.resolveEngine(values.engine)
    const tp = values.tp ?? planner.tensorParallelFor(model.shape, gpu, engine)
    const question: PrecisionQuestion = {
      shape: model.shape,
      gpu,
      engine,
      formats,
      parallelism: { tp, pp, ep, dp },
      load: { inputTokens: values.isl, outputTokens: values.osl, concurrency: values.concurrency },
    }
    const rows = planner.comparePrecisions(question)
    const sparse = planner.compareSparsity(question)
    if (values.json) {
      io.stdout.write(`${JSON.stringify(toJson(question, rows, sparse), undefined, 2)}\n`)
      return 0
    }
    io.stdout.write(`${toText(question, planner.describeParallelism(question.parallelism), rows, sparse).join('\n')}\n`)
    return 0
  },
})

function toText(
  { shape, gpu, engine, load }: PrecisionQuestion,
  parallel: string,
  rows: readonly PrecisionComparison[],
  sparse: readonly SparsityComparison[],
): readonly string[] {
  const { inputTokens, outputTokens, concurrency } = load
  const columns = [
    'format',
    'bits',
    'weights GB',
    'least GPUs',
    'computed in',
    'prefill ×',
    'decode ×',
    'TTFT ms',
    'TPOT ms',
    '80 % interval',
    '',
  ]
  const table = textTable(
    columns,
    rows.map((row) => {
      const { format, prediction } = row
      return [
        format.id,
        format.bits.toFixed(2),
        (row.weightBytes / 1e9).toFixed(1),
        row.fewestGpus === undefined ? `> ${gpu.scaleUpGpus}` : String(row.fewestGpus),
        row.native ? row.computedIn : `${row.computedIn}, expanded`,
        row.prefillFactor.toFixed(2),
        row.decodeFactor.toFixed(2),
        prediction?.ttftMs.value.toFixed(0) ?? '–',
        prediction?.tpotMs.value.toFixed(1) ?? '–',
        prediction === undefined ? '' : `${prediction.tpotMs.low.toFixed(1)}–${prediction.tpotMs.high.toFixed(1)}`,
        prediction === undefined ? 'does not fit' : prediction.extrapolated.length > 0 ? 'extrapolated' : '',
      ]
    }),
  )
  const unknown = rows.filter(({ format }) => format.accuracy === undefined).map(({ format }) => format.id)
  return [
    `${shape.name} on ${parallel} ${gpu.id}, ${engine.id}, ${concurrency} at once, ${inputTokens} tokens in, ${outputTokens} out`,
    '',
    table,
    '',
    ...(shape.expertBits === undefined
      ? []
      : [
          `Its experts are published with ${shape.expertBits} bits a weight and stay so under every label below 16 bits.`,
        ]),
    'bits: per weight, scales included. prefill ×, decode ×: BF16 time over the format’s, memory aside.',
    'expanded: the GPU has no units for it, or activations stay wide: bytes are saved, arithmetic is not.',
    '',
    'Published accuracy:',
    ...rows.flatMap(({ format }) =>
      (format.accuracy ?? []).map(({ result, source }) => `  ${format.id}: ${result} [${source}]`),
    ),
    ...(unknown.length > 0 ? [`  none known here, so measure on your task: ${unknown.join(', ')}`] : []),
    '',
    ...sparsityLines(gpu.name, sparse),
  ]
}

function sparsityLines(gpuName: string, sparse: readonly SparsityComparison[]): readonly string[] {
  const [first] = sparse
  if (first === undefined) return [`2:4 sparsity: ${gpuName} has no units for it; half-empty weights gain nothing.`]
  return [
    '2:4 sparsity (two of every four weights dropped), as a bound on top of each format:',
    ...sparse.map(
      ({ format, verdict, peakRatio, prefillBound, decodeBound }) =>
        `  ${format.id}: ${format.bits} → ${verdict.bitsPerWeight} bits a weight, arithmetic at peak × ${peakRatio}; prefill at most ${prefillBound.toFixed(2)}×, decode at most ${decodeBound.toFixed(2)}×`,
    ),
    `  Measured: ${first.verdict.measured}.`,
    `  Verdict: ${first.verdict.verdict}`,
  ]
}

function toJson(
  { shape, gpu, engine, parallelism, load }: PrecisionQuestion,
  rows: readonly PrecisionComparison[],
  sparse: readonly SparsityComparison[],
) {
  return {
    model: shape.name,
    gpu: gpu.id,
    engine: engine.id,
    ...parallelism,
    ...load,
    formats: rows.map(({ format, prediction, reason, ...row }) => ({
      format: format.id,
      name: format.name,
      bitsPerWeight: format.bits,
      layout: format.layout,
      source: format.source,
      ...row,
      ttftMs: prediction?.ttftMs,
      tpotMs: prediction?.tpotMs,
      tokensPerSecondPerGpu: prediction?.tokensPerSecondPerGpu,
      extrapolated: prediction?.extrapolated,
      doesNotFit: reason,
      accuracy: format.accuracy ?? [],
    })),
    sparsity24: sparse.map(({ format, verdict, ...bound }) => ({ format: format.id, ...verdict, ...bound })),
  }
}
