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
  downloadPartBytes: {
    schema: z.coerce.number().int().positive(),
    default: 32 * 1024 * 1024,
    value: '<bytes>',
    unit: 'bytes',
    help: 'Part of a model file that is fetched over one connection',
    reason: 'a cut connection costs at most this much; smaller parts cost round trips',
  },
  downloadConnections: {
    schema: z.coerce.number().int().positive(),
    default: 4,
    value: '<count>',
    help: 'Connections over which a model file is fetched at once',
    reason: 'hubs limit single connections; more than a few are taken for an attack',
  },
  downloadAttempts: {
    schema: z.coerce.number().int().positive(),
    default: 6,
    value: '<count>',
    help: 'Failures in a row, without a byte in between, after which a download is given up',
    reason: 'with waits that double from one second this bridges a minute',
  },
  downloadStallMs: {
    schema: z.coerce.number().int().positive(),
    default: 30_000,
    value: '<ms>',
    unit: 'ms',
    help: 'Time without a byte after which a connection is given up',
    reason: 'a hub may need ten seconds to find a cold file',
  },
})
