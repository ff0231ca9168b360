import { z } from 'zod'
import { defineCommand } from './command.ts'

const options = {
  config: {
    schema: z.string().min(1),
    default: 'tokenmill.yaml',
    value: '<file>',
    help: 'Configuration file',
  },
} as const

const check = defineCommand({
  name: 'check',
  summary: 'Check a configuration file and tell every problem with its line; the exit code is 78 if there is one',
  options,
  async run(values, _positionals, io) {
    const { loadConfig } = await import('../config/index.ts')
    const { value, file } = loadConfig(values.config, io.env)
    const endpoints = value.models.reduce((sum, model) => sum + model.endpoints.length, 0)
    io.stdout.write(`${file} is sound: ${value.models.length} models at ${endpoints} endpoints.\n`)
    return 0
  },
})

const show = defineCommand({
  name: 'show',
  summary: 'Show every setting that a configuration file leads to, and where it comes from; secrets are not shown',
  options: {
    ...options,
    json: { schema: z.boolean(), default: false, help: 'Print JSON' },
  },
  async run(values, _positionals, io) {
    const { loadConfig, showConfig } = await import('../config/index.ts')
    const settings = showConfig(loadConfig(values.config, io.env))
    if (values.json) io.stdout.write(`${JSON.stringify(settings, null, 2)}\n`)
    else {
      const width = Math.max(...settings.map(({ path }) => path.length))
      const lines = settings.map(({ path, value, source }) => `${path.padEnd(width)}  ${value}  # ${source}`)
      io.stdout.write(`${lines.join('\n')}\n`)
    }
    return 0
  },
})

const schema = defineCommand({
  name: 'schema',
  summary: 'Print the JSON Schema of the configuration file, for editors',
  options: {},
  async run(_values, _positionals, io) {
    const { configJsonSchema } = await import('../config/index.ts')
    io.stdout.write(`${JSON.stringify(configJsonSchema(), null, 2)}\n`)
    return 0
  },
})

export const config = defineCommand({
  name: 'config',
  summary: 'Check and explain the configuration file',
  options: {},
  examples: ['tokenmill config check --config tokenmill.yaml', 'tokenmill config show --config tokenmill.yaml'],
  subcommands: [check, show, schema],
})
