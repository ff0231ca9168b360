import packageJson from '../../package.json' with { type: 'json' }
import { bench } from './bench.ts'
import { chat } from './chat.ts'
import { defineCommand, type CommandDefinition } from './command.ts'
import { defineCompletion } from './completion.ts'
import { config } from './config.ts'
import { doctor } from './doctor.ts'
import { keys } from './keys.ts'
import { mock } from './mock.ts'
import { models } from './models.ts'
import { runPrompt } from './run-prompt.ts'
import { plan } from './plan.ts'
import { serve } from './serve.ts'
import { version } from './version.ts'

/** The tree of commands. */
export const tokenmill: CommandDefinition = defineCommand({
  name: 'tokenmill',
  version: packageJson.version,
  summary: 'Open inference microservice: one OpenAI-compatible endpoint over an embedded engine and any fleet',
  options: {},
  subcommands: [
    serve,
    chat,
    runPrompt,
    models,
    doctor,
    config,
    keys,
    bench,
    plan,
    mock,
    defineCompletion(() => tokenmill),
    version,
  ],
})
