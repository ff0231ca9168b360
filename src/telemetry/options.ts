import { z } from 'zod'
import { defineOptions, parseBytes } from '../core/index.ts'

export const logLevels = ['silent', 'error', 'warn', 'info', 'debug'] as const

export const telemetryOptions = defineOptions({
  logLevel: {
    schema: z.enum(logLevels),
    default: 'info',
    value: '<level>',
    help: 'Least severe log lines to write; each request is one line at info',
    choices: logLevels,
  },
  maxLogBufferBytes: {
    schema: z
      .union([z.number(), z.string().transform((text) => parseBytes(text) ?? Number.NaN)])
      .pipe(z.number({ error: 'must be bytes, such as 4MiB' }).int().min(1)),
    default: 4 * 1024 * 1024,
    value: '<bytes>',
    help: 'Most log lines held for a target that takes them slowly; further lines are dropped and counted',
    reason: 'Two seconds of 5,000 requests/s: a disk may pause that long, a reader that stopped costs no more memory',
    unit: 'bytes',
  },
})

export type LogLevel = (typeof logLevels)[number]
