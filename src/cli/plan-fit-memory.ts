import { z } from 'zod'
import type { MemoryFit } from '../planner/index.ts'
import { defineCommand } from './command.ts'
import { deploymentFromValues, modelLines } from './plan-deployment.ts'
import {
  engineOption,
  gpuOption,
  jsonOption,
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
  precision: precisionOption,
  context: {
    schema: z.coerce.number().int().min(1),
    default: 8192,
    value: '<tokens>',
    help: 'Tokens of each sequence',
  },
  batch: { schema: z.coerce.number().int().min(1), default: 1, value: '<n>', help: 'Sequences at once' },
  ...parallelOptions,
  override: overrideOption,
  json: jsonOption,
} as const

export const planFitMemory = defineCommand({
  name: 'fit-memory',
  summary: 'Say whether a model fits, at which context and batch, with the numbers',
  options,
  examples: [
    'tokenmill plan fit-memory --model qwen3-235b-a22b --gpu h200 --precision fp8 --tp 4 --context 32768 --batch 16',
  ],
  async run(values, _positionals, io) {
    const planner = await import('../planner/index.ts')
    const { deployment, model } = await deploymentFromValues(values)
    const limit = model.shape.contextTokens
    const fit = planner.fitMemory(deployment, values.context, values.batch)
    const name = planner.describeDeployment(deployment.gpu, deployment.engine, deployment.precision.format, deployment)
    const tooLong = limit !== undefined && values.context > limit
    if (values.json) {
      io.stdout.write(
        `${JSON.stringify({ configuration: name, contextLimit: limit, notUnderstood: model.shape.unread, ...fit }, undefined, 2)}\n`,
      )
      return fit.fits && !tooLong ? 0 : 1
    }
    const gb = (bytes: number) => `${(bytes / 1e9).toFixed(1)} GB`
    const asked = `${values.batch} × ${values.context} tokens`
    const verdict = fit.fits
      ? `${asked} fit.`
      : `${asked} do not fit: ${Math.ceil(fit.missingBytes)} bytes (${gb(fit.missingBytes)}) are missing on each GPU. More GPUs (--tp), a narrower precision, fewer sequences or less context would make it fit.`
    io.stdout.write(
      `${[
        `${model.shape.name}: ${name}`,
        verdict,
        ...modelLines(model),
        ...(tooLong ? [`The model's context is ${limit} tokens: ${values.context} leave it.`] : []),
        '',
        `memory of a GPU     ${gb(fit.perGpu.memory)}, of which engines use ${gb(fit.perGpu.usable)}`,
        `weights             ${(fit.weights / 1e9).toFixed(2)} billion, ${gb(fit.weightBytes)}; ${gb(fit.perGpu.weights)} on a GPU`,
        `workspace           ${gb(fit.perGpu.workspace)}`,
        `room for KV cache   ${gb(fit.perGpu.cacheRoom)} on a GPU`,
        ...cacheLines(
          fit,
          deployment.shape.mixers.some((group) => group.kind === 'mla' || group.kind === 'compressed'),
        ),
        `longest sequence    ${fit.maxContextAlone} tokens alone${limit === undefined ? '' : `; the model's context is ${limit}`}`,
        '',
        textTable(
          ['tokens each', 'sequences at once'],
          fit.batches.map(({ tokens, sequences }) => [String(tokens), String(sequences)]),
        ),
      ].join('\n')}\n`,
    )
    return fit.fits && !tooLong ? 0 : 1
  },
})

/** What a token keeps, over all GPUs and on each, and what that leaves out. */
function cacheLines(fit: MemoryFit, latent: boolean): readonly string[] {
  const kib = (bytes: number) => `${(bytes / 1024).toFixed(bytes < 1024 ? 2 : 1)} KiB`
  const format = fit.kvBytesPerElement === 1 ? 'FP8' : 'BF16'
  const lines = [
    `KV cache            ${kib(fit.kvBytesPerToken)} a token (${format}), ${kib(fit.kvBytesPerTokenPerGpu)} on a GPU`,
  ]
  for (const { tokens, bytesPerToken } of fit.windows) {
    lines.push(`                    and ${kib(bytesPerToken)} a token in layers that keep their last ${tokens} tokens`)
  }
  if (fit.stateBytes > 0) {
    lines.push(
      `                    and ${(fit.stateBytes / 1e6).toFixed(1)} MB a sequence of state, whatever its length`,
    )
  }
  if (fit.kvCopies > 1) {
    const what = latent ? 'the latent cache is kept on each GPU' : `each KV head is kept on ${fit.kvCopies} GPUs`
    lines.push(`                    replicated: ${what} of a tensor-parallel group`)
  }
  return lines
}
