import { z } from 'zod'
import { defineOptions, parseDurationMs } from '../core/index.ts'

export const schedulerOptions = defineOptions({
  maxQueue: {
    schema: z.coerce.number().int().min(0),
    default: 128,
    value: '<n>',
    help: 'Most requests that wait for a place at one model; one more is refused with 429',
    reason: 'At 4 slots and 2 s a request the last of 128 waits a minute, the longest that clients are told to wait',
    unit: 'requests',
  },
  maxQueueWaitMs: {
    schema: z
      .union([z.number(), z.string().transform((text) => parseDurationMs(text) ?? Number.NaN)])
      .pipe(z.number().min(1)),
    default: 120_000,
    value: '<duration>',
    help: 'Longest wait in the queue; then the request is refused with 503',
    reason: 'Client libraries give up after minutes, and nobody reads an answer that late',
    unit: 'ms',
  },
})
