import { writeFile } from 'node:fs/promises'
import { z } from 'zod'
import { systemClock, TokenmillError } from '../core/index.ts'
import type { ProbedEndpoint } from '../server/index.ts'
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
  options: {
    ...options,
    probe: {
      schema: z.boolean(),
      default: false,
      help: 'Ask every remote endpoint what it is; exit code 1 if one fails',
    },
  },
  async run(values, _positionals, io) {
    const { loadConfig } = await import('../config/index.ts')
    const { checkParts } = await import('./config-check.ts')
    const loaded = loadConfig(values.config, io.env)
    await checkParts(loaded, io)
    const { models } = loaded.value
    const endpoints = models.reduce((sum, model) => sum + model.endpoints.length, 0)
    io.stdout.write(
      `${values.config} is sound: ${counted(models.length, 'model')} at ${counted(endpoints, 'endpoint')}.\n`,
    )
    if (!values.probe) return 0
    const { probeEndpoints } = await import('../server/index.ts')
    // The clock's own timers do not keep the process alive between two looks at a slow endpoint.
    const alive = setInterval(() => undefined, 1000)
    const found = await probeEndpoints(loaded, systemClock)
    clearInterval(alive)
    io.stdout.write(`${found.map(probeLine).join('\n')}\n`)
    return found.some(({ problem }) => problem !== undefined) ? 1 : 0
  },
})

/** `ok      chat  http://10.0.0.7:8000  org/model, 4096 tokens` */
function probeLine({ model, endpoint, offers, problem }: ProbedEndpoint): string {
  const described = offers.map(({ name, contextTokens }) =>
    contextTokens === undefined ? name : `${name}, ${contextTokens} tokens`,
  )
  return `${problem === undefined ? 'ok    ' : 'failed'}  ${model}  ${endpoint}  ${problem ?? described.join('; ')}`
}

const init = defineCommand({
  name: 'init',
  summary: 'Write a configuration file to begin with; one that exists is left as it is',
  options: {
    ...options,
    endpoint: {
      schema: z.url({ protocol: /^(https?|grpcs?)$/, error: 'must be an address such as http://10.0.0.7:8000' }),
      default: ['http://127.0.0.1:8000'],
      value: '<url>',
      help: 'Address of an engine that serves the model',
      repeatable: true,
    },
  },
  async run(values, _positionals, io) {
    const { firstConfig } = await import('./config-init.ts')
    try {
      await writeFile(values.config, firstConfig(values.endpoint), { flag: 'wx' })
    } catch (error) {
      const code = error instanceof Error && 'code' in error ? String(error.code) : String(error)
      const reason = code === 'EEXIST' ? 'exists; it is left as it is' : `cannot be written (${code})`
      throw new TokenmillError('invalid_request', `${values.config} ${reason}.`, {}, error)
    }
    io.stdout.write(`Wrote ${values.config}. Next: tokenmill serve --config ${values.config}\n`)
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
  summary: 'Write, check and explain the configuration file',
  options: {},
  examples: ['tokenmill config check --config tokenmill.yaml', 'tokenmill config show --config tokenmill.yaml'],
  subcommands: [init, check, show, schema],
})

function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`
}
