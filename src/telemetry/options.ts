import { z } from 'zod'
import { defineOptions } from '../core/index.ts'

export const logLevels = ['silent', 'error', 'warn', 'info', 'debug'] as const

export const telemetryOptions = defineOptions({
  logLevel: {
    schema: z.enum(logLevels),
    default: 'info',
    value: '<level>',
    help: 'Least severe log lines to write; each request is one line at info',
    choices: logLevels,
  },
})

export type LogLevel = (typeof logLevels)[number]
