import { z } from 'zod'
import { defineOptions } from '../core/index.ts'

export const configOptions = defineOptions({
  config: {
    schema: z.string().min(1),
    value: '<file>',
    help: 'Configuration file (YAML); flags win over it, and it is read again when it changes or on SIGHUP',
  },
})
