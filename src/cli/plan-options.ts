import { z } from 'zod'
import { parseDurationMs } from '../core/index.ts'

const positive = z.coerce.number().int().min(1)

const duration = z.string().transform((text, context) => {
  const ms = parseDurationMs(text)
  if (ms === undefined || ms <= 0) {
    context.addIssue({ code: 'custom', message: `'${text}' is no duration above 0: write 500ms or 2s` })
    return z.NEVER
  }
  return ms
})

/** Options that the planning commands share. */
export const modelOption = {
  schema: z.string().min(1),
  value: '<name>',
  help: 'Catalog name, Hugging Face id, or path of a config.json or GGUF',
} as const

export const gpuOption = {
  schema: z.string().min(1),
  value: '<name>',
  help: 'GPU: h100_sxm, h200_sxm, b200_sxm, mi300x and others',
} as const

export const precisionOption = {
  schema: z.string().min(1),
  value: '<format>',
  help: "Weights: bf16, fp16, fp8, fp6, fp4, mxfp4, int8, int4, or a GGUF type; the file's own unless given, else bf16",
} as const

export const engineOption = {
  schema: z.string().min(1),
  value: '<engine>',
  help: 'vllm, sglang or trtllm',
} as const

export const lengthOptions = {
  isl: { schema: positive, default: 1000, value: '<tokens>', help: 'Prompt length, actual tokens' },
  osl: { schema: positive, default: 500, value: '<tokens>', help: 'Answer length' },
} as const

export const parallelOptions = {
  tp: { schema: positive, value: '<n>', help: 'Tensor parallel GPUs; by default the fewest that fit' },
  pp: { schema: positive, default: 1, value: '<n>', help: 'Pipeline stages' },
  ep: { schema: positive, default: 1, value: '<n>', help: 'GPUs over which experts are spread' },
  dp: { schema: positive, default: 1, value: '<n>', help: 'Attention groups (data-parallel attention)' },
} as const

export const objectiveOptions = {
  sloTtft: { schema: duration, value: '<time>', help: 'Objective: time to first token, such as 500ms' },
  sloTpot: { schema: duration, value: '<time>', help: 'Objective: time per output token, such as 25ms' },
} as const

export const jsonOption = { schema: z.boolean(), default: false, help: 'Print JSON' } as const

export const overrideOption = {
  schema: z.string().min(3),
  default: [] as readonly string[],
  value: '<figure=value>',
  help: 'Replace a figure of the GPU, such as bandwidthTbS=4.9 or usdPerHour.neocloud=2',
  repeatable: true,
} as const
