import { z } from 'zod'
import { defineOptions } from '../core/index.ts'

/** Limits of reading models and their chat templates. They guard against hostile files, not against large models. */
export const modelOptions = defineOptions({
  maxTemplateBytes: {
    schema: z.coerce.number().int().positive(),
    default: 256 * 1024,
    value: '<bytes>',
    unit: 'bytes',
    help: 'Longest chat template that is compiled',
    reason: 'the longest published ones have 20 KB; compiling takes time with length',
  },
  maxTemplateRange: {
    schema: z.coerce.number().int().positive(),
    default: 100_000,
    value: '<count>',
    help: 'Most numbers that range() gives inside a chat template',
    reason: 'a template comes with the model file; a loop over a billion numbers would stop the server',
  },
  maxMetadataBytes: {
    schema: z.coerce.number().int().positive(),
    default: 256 * 1024 * 1024,
    value: '<bytes>',
    unit: 'bytes',
    help: 'Longest header of a GGUF file (metadata and tensor table) that is read',
    reason: 'vocabularies of 256,000 tokens with merges take 15 MB',
  },
  maxMetadataKeys: {
    schema: z.coerce.number().int().positive(),
    default: 65_536,
    value: '<count>',
    help: 'Most metadata keys in a GGUF file',
    reason: 'models have 20 to 60',
  },
  maxMetadataTensors: {
    schema: z.coerce.number().int().positive(),
    default: 1_000_000,
    value: '<count>',
    help: 'Most tensors in a GGUF file',
    reason: 'the largest models have a few thousand',
  },
})
