import { z } from 'zod'

const group = z.looseObject({
  weights: z
    .looseObject({
      num_bits: z.number().optional(),
      type: z.string().optional(),
      strategy: z.string().optional(),
      group_size: z.number().nullish(),
      block_structure: z.unknown().optional(),
    })
    .nullish(),
  input_activations: z.looseObject({ num_bits: z.number().optional() }).nullish(),
})

const quantizationSchema = z.looseObject({
  quant_method: z.string().optional(),
  quant_algo: z.string().nullish(),
  bits: z.number().optional(),
  load_in_4bit: z.boolean().optional(),
  load_in_8bit: z.boolean().optional(),
  weight_block_size: z.array(z.number()).nullish(),
  format: z.string().nullish(),
  fmt: z.string().optional(),
  config_groups: z.record(z.string(), group).optional(),
})

/** What a `quantization_config` says of the file. */
export type PublishedFormat =
  | { readonly format: string }
  /** It says something that is not understood: this. */
  | { readonly unread: string }

/**
 * The number format of a published file, by its `quantization_config`: GPTQ, AWQ, FP8 (per tensor or in blocks),
 * ModelOpt's FP8 and NVFP4, compressed-tensors, MXFP4, bitsandbytes. Undefined without one.
 */
export function publishedFormatOf(config: Readonly<Record<string, unknown>>): PublishedFormat | undefined {
  const stated = config['quantization_config'] ?? config['compression_config']
  if (stated === undefined || stated === null) return undefined
  const parsed = quantizationSchema.safeParse(stated)
  if (!parsed.success) return { unread: 'quantization_config' }
  const { quant_method: method = '', quant_algo: algorithm, bits, format } = parsed.data
  const words = `${method} ${algorithm ?? ''} ${format ?? ''}`.toLowerCase()
  if (/nvfp4/.test(words)) return { format: 'fp4' }
  if (/mxfp4/.test(words)) return { format: 'mxfp4' }
  if (/mxfp8/.test(words)) return { format: 'mxfp8' }
  if (parsed.data.config_groups !== undefined) return compressed(parsed.data)
  if (/fp8/.test(words)) return { format: (parsed.data.weight_block_size ?? []).length > 1 ? 'fp8-block' : 'fp8' }
  const stored = bits ?? (parsed.data.load_in_4bit === true ? 4 : parsed.data.load_in_8bit === true ? 8 : undefined)
  const weightOnly = /gptq|awq|bitsandbytes|auto-round|autoround|w4a16|int4/.test(words)
  if (weightOnly && (stored === 4 || stored === undefined)) return { format: 'int4' }
  if (weightOnly && stored === 8) return { format: 'int8-weight-only' }
  return {
    unread: `quantization_config (${method || 'no quant_method'}${stored === undefined ? '' : `, ${stored} bits`})`,
  }
}

/** compressed-tensors: the format of the first group; groups of unlike formats are not understood. */
function compressed({ config_groups: groups = {} }: z.infer<typeof quantizationSchema>): PublishedFormat {
  const formats = new Set(
    Object.values(groups).map(({ weights, input_activations: activations }) => {
      const { num_bits: bits, type, strategy } = weights ?? {}
      const narrow = activations !== undefined && activations !== null
      if (type === 'float' && bits === 8) return strategy === 'block' ? 'fp8-block' : 'fp8'
      if (type === 'float' && bits === 4) return 'fp4'
      if (type === 'int' && bits === 8) return narrow ? 'int8' : 'int8-weight-only'
      if (type === 'int' && bits === 4) return 'int4'
      return undefined
    }),
  )
  const [format] = formats
  if (formats.size !== 1 || format === undefined) return { unread: 'quantization_config.config_groups' }
  return { format }
}
