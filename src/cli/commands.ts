import { defineCommand } from './command.ts'
import { config } from './config.ts'
import { keys } from './keys.ts'
import { mock } from './mock.ts'
import { serve } from './serve.ts'
import { version } from './version.ts'

/** The tree of commands. */
export const tokenmill = defineCommand({
  name: 'tokenmill',
  summary: 'Open inference microservice: one OpenAI-compatible endpoint over an embedded engine and any fleet',
  options: {},
  subcommands: [config, keys, mock, serve, version],
})
