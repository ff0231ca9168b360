import path from 'node:path'
import { z } from 'zod'
import { defineOptions, formatBytes } from '../core/index.ts'
import { engineOptions } from '../engine/options.ts'
import { defineCommand } from './command.ts'

const pull = defineCommand({
  name: 'pull',
  summary: 'Fetch a model from a hub; resumes where an earlier attempt ended, and checks the file',
  arguments: [
    { syntax: '<reference>', help: 'hf:owner/repository, with :file or :precision and @revision where needed' },
  ],
  options: defineOptions({
    offline: { schema: z.boolean(), default: false, help: 'Fetch nothing: succeed only if the model is there' },
  }),
  examples: [
    'tokenmill models pull hf:bartowski/Llama-3.2-1B-Instruct-GGUF:Q4_K_M',
    'HF_TOKEN=… tokenmill models pull hf:owner/gated-model@main',
  ],
  async run(values, [reference], io) {
    const { pullModel } = await import('./model-access.ts')
    const model = await pullModel(String(reference), io, values.offline)
    io.stdout.write(`${model.path}\n`)
    return 0
  },
})

const list = defineCommand({
  name: 'list',
  summary: 'List the models on this machine',
  options: defineOptions({ json: { schema: z.boolean(), default: false, help: 'Print JSON' } }),
  async run(values, _positionals, io) {
    const { openStore } = await import('./model-access.ts')
    const models = openStore(io).list()
    if (values.json) io.stdout.write(`${JSON.stringify(models, null, 2)}\n`)
    else if (models.length === 0)
      io.stdout.write('No models yet. Fetch one: tokenmill models pull hf:owner/repository\n')
    else
      for (const { reference, bytes } of models) io.stdout.write(`${formatBytes(bytes).padStart(10)}  ${reference}\n`)
    return 0
  },
})

const inspect = defineCommand({
  name: 'inspect',
  summary: 'Show a model: shape, precision, template, and the memory it takes',
  arguments: [
    { syntax: '<model>', help: 'path of a GGUF file, or hf:owner/repository, of which only the header is fetched' },
  ],
  options: defineOptions({
    ctx: {
      schema: z.coerce.number().int().positive(),
      default: 4096,
      value: '<tokens>',
      unit: 'tokens',
      help: 'Context of each sequence, as --ctx of serve',
    },
    slots: {
      schema: z.coerce.number().int().positive(),
      // As `serve` has it.
      default: engineOptions.slots.default,
      value: '<count>',
      help: 'Sequences computed at once',
    },
    json: { schema: z.boolean(), default: false, help: 'Print JSON' },
  }),
  examples: [
    'tokenmill models inspect ./model.gguf --ctx 8192 --slots 4',
    'tokenmill models inspect hf:bartowski/Llama-3.2-1B-Instruct-GGUF:Q4_K_M',
  ],
  async run(values, [model], io) {
    const { withModelHeader } = await import('./model-access.ts')
    const { describeModel } = await import('./model-description.ts')
    const description = await withModelHeader(String(model), io, (file) =>
      describeModel(file, values.ctx, values.slots, process.availableMemory()),
    )
    io.stdout.write(values.json ? `${JSON.stringify(description.facts, null, 2)}\n` : description.text)
    return 0
  },
})

const remove = defineCommand({
  name: 'rm',
  summary: 'Remove a fetched model',
  arguments: [{ syntax: '<reference>', help: 'as tokenmill models list shows it' }],
  options: {},
  async run(_values, [reference], io) {
    const { openStore } = await import('./model-access.ts')
    const model = await openStore(io).remove(String(reference))
    io.stdout.write(`Removed ${path.basename(model.path)}, ${formatBytes(model.bytes)}\n`)
    return 0
  },
})

export const models = defineCommand({
  name: 'models',
  summary: 'Fetch, list, inspect and remove models',
  options: {},
  subcommands: [pull, list, inspect, remove],
})
