import { z } from 'zod'
import { defineOptions, type OptionValues } from '../core/index.ts'
import { parseAdapterFile } from '../server/options.ts'

/** Settings of the commands that speak with a model in the terminal. */
export const localModelOptions = defineOptions({
  model: {
    schema: z.string().min(1),
    default: '',
    value: '<model>',
    help: 'GGUF file, or hf:owner/repository (default: the bundled nano model); with --url a name that the server lists',
  },
  url: {
    schema: z.string().optional(),
    value: '<url>',
    help: 'Ask a running server with this base URL instead of starting a model here',
  },
  apiKey: { schema: z.string().optional(), value: '<key>', help: 'Key of the server at --url', secret: true },
  lora: {
    schema: z.string().min(1).transform(parseAdapterFile).optional(),
    value: '<path[:scale]>',
    help: 'LoRA adapter (GGUF) of the model to answer with',
  },
  system: { schema: z.string(), default: '', value: '<text>', help: 'System message' },
  maxTokens: {
    schema: z.coerce.number().int().positive(),
    default: 1024,
    value: '<tokens>',
    unit: 'tokens',
    help: 'Most tokens of an answer',
    reason: 'an answer that goes on and on ends before patience does',
  },
  temperature: {
    schema: z.coerce.number().min(0).max(2),
    default: 0.7,
    value: '<number>',
    help: '0 gives the likeliest answer',
  },
  seed: {
    schema: z.coerce.number().int().min(0),
    value: '<number>',
    help: 'Equal seeds give equal answers (default: chance)',
  },
})
export type LocalModelValues = OptionValues<typeof localModelOptions>
