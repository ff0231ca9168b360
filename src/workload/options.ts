import { z } from 'zod'
import { defineOptions } from '../core/index.ts'

/** Limits of reading workloads. */
export const workloadOptions = defineOptions({
  maxTraceRequests: {
    schema: z.coerce.number().int().positive(),
    default: 1_000_000,
    value: '<requests>',
    help: 'Most requests that a trace may hold',
    reason: 'a trace is held in memory, about 200 bytes a request without its prompt',
  },
})
