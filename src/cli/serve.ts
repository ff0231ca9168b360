import path from 'node:path'
import { setFlagsFromString } from 'node:v8'
import { TokenmillError } from '../core/index.ts'
import { engineOptions } from '../engine/options.ts'
import type { Engine, EngineModel } from '../inference/index.ts'
import type { ModelPurpose } from '../model/index.ts'
import type { Logger } from '../telemetry/index.ts'
import { protocolOptions } from '../protocol/options.ts'
import { schedulerOptions } from '../scheduler/options.ts'
import { modelOptions, serverOptions } from '../server/options.ts'
import { telemetryOptions } from '../telemetry/options.ts'
import { configOptions } from '../config/options.ts'
import { bundledModel } from './bundled-model.ts'
import { defineCommand, type Io } from './command.ts'
import { openConfig, settingsOf } from './config-file.ts'
import { openServiceLog } from './service-log.ts'

export const serve = defineCommand({
  name: 'serve',
  summary: 'Serve models over the OpenAI API',
  service: true,
  options: {
    ...configOptions,
    ...modelOptions,
    ...serverOptions,
    ...engineOptions,
    ...schedulerOptions,
    ...protocolOptions,
    ...telemetryOptions,
  },
  groups: [
    { heading: 'Models', options: modelOptions },
    { heading: 'Server', options: serverOptions },
    { heading: 'Engine', options: engineOptions },
    { heading: 'Queue', options: schedulerOptions },
    { heading: 'Limits of a request', options: protocolOptions },
    { heading: 'Logs', options: telemetryOptions },
  ],
  examples: [
    'tokenmill serve',
    'tokenmill serve --model hf:bartowski/Llama-3.2-1B-Instruct-GGUF:Q4_K_M',
    'tokenmill serve --model ./llama-3.2-3b-q4_k_m.gguf --served-model-name llama --ctx 8192 --slots 8',
    'tokenmill serve --model ./llama-3.2-3b.gguf --lora sql=./sql-lora.gguf --lora terse=./terse-lora.gguf:0.5',
    'tokenmill serve --config tokenmill.yaml',
    'TOKENMILL_API_KEY=… tokenmill serve --host 0.0.0.0 --model a.gguf --model b.gguf',
  ],
  async run(flags, _positionals, io, given) {
    // Named here, not at the top: help and completion need none of it.
    const { createEmbeddedEngines, startServer } = await import('../server/index.ts')
    const file = flags.config === undefined ? undefined : await openConfig(flags.config, io)
    const values = file === undefined ? flags : { ...flags, ...settingsOf(file.loaded, given) }
    if (values.memorySaver) setFlagsFromString('--memory-saver-mode')
    // A file names its models itself; the bundled one is for those who name none.
    const named = values.model.length > 0 || file !== undefined ? values.model : [bundledModel]
    const { resolveModelPath } = await import('./model-access.ts')
    const models: string[] = []
    for (const model of named) models.push(await resolveModelPath(model, io))
    const apiKey = [...values.apiKey, ...environmentKeys(io)]
    const adapters = await Promise.all(
      values.lora.map(async (adapter) => ({ ...adapter, path: await resolveModelPath(adapter.path, io) })),
    )
    const engines = createEmbeddedEngines(models, values.servedModelName, values, adapters)
    const config = file === undefined ? {} : { config: file.loaded }
    const { writer, logger } = openServiceLog(io, values)
    const server = await startServer({ ...values, apiKey }, { engines, logTarget: writer, ...config })
    const stopWatching = file?.watch(server) ?? (() => undefined)

    const stopProgress = await showProgress(
      engines.map(({ engine }) => engine),
      io,
      logger,
    )
    const stopped = new Promise<void>((resolve) => io.stop.addEventListener('abort', () => resolve(), { once: true }))
    try {
      await Promise.race([server.ready, stopped])
    } catch (error) {
      await server.close(AbortSignal.abort())
      throw error
    } finally {
      stopProgress()
    }
    const names = [
      ...engines.flatMap(({ names }) => names),
      ...(file?.loaded.value.models.map(({ name }) => name) ?? []),
    ]
    if (!io.stop.aborted) {
      const keyed = apiKey.length + (file?.loaded.value.apiKeys.length ?? 0) > 0
      const { readGgufMetadata } = await import('../model/index.ts')
      const [first] = models
      const purpose = first === undefined ? 'generate' : readGgufMetadata(first).purpose
      for (const [at, { engine }] of engines.entries()) {
        const trained = readGgufMetadata(models[at] ?? '').contextTokens
        io.stderr.write(beyondTraining(engine.models()[0], trained))
      }
      io.stdout.write(welcome(server.url, names, purpose, keyed))
      if (values.kvLayout === 'streams')
        io.stdout.write(
          contextLines(
            engines.map(({ engine }) => engine),
            values.slots,
          ),
        )
      await stopped
    }
    stopWatching()
    await server.close()
    await writer.close()
    return 0
  },
})

function environmentKeys(io: Io): readonly string[] {
  const key = io.env['TOKENMILL_API_KEY']
  if (key === undefined || key === '') return []
  const checked = serverOptions.apiKey.schema.safeParse(key)
  if (checked.success) return [key]
  throw new TokenmillError('startup', `TOKENMILL_API_KEY ${checked.error.issues[0]?.message ?? 'is not valid'}.`)
}

/** Tells of a context that is longer than any the model was trained on; '' of others. */
function beyondTraining(model: EngineModel | undefined, trainedTokens: number | undefined): string {
  if (model?.contextTokens === undefined || trainedTokens === undefined || model.contextTokens <= trainedTokens)
    return ''
  return (
    `${model.name} was trained on contexts of ${trainedTokens} tokens; --ctx gives each sequence ` +
    `${model.contextTokens}. Answers beyond ${trainedTokens} tokens may be worthless.\n`
  )
}

/** Where to call, and a line to copy. */
function welcome(url: string, names: readonly string[], purpose: ModelPurpose, keyed: boolean): string {
  const authorization = keyed ? ` -H "authorization: Bearer $TOKENMILL_API_KEY"` : ''
  const { path: endpoint, body } = firstCall(names[0], purpose)
  return [
    `Tokenmill serves ${names.join(', ')} on ${url}/v1`,
    '',
    `  curl ${url}${endpoint} -H "content-type: application/json"${authorization} -d '${JSON.stringify(body)}'`,
    '',
    '',
  ].join('\n')
}

/** What each embedded model has room for: a sequence, and all of them together. */
function contextLines(engines: readonly Engine[], slots: number): string {
  const lines = engines.flatMap((engine) => {
    const [model] = engine.models()
    if (model?.contextTokens === undefined) return []
    const each = model.contextTokens
    return [
      `  ${model.name}: ${each} tokens a sequence (--ctx), ${slots} sequences (--slots), ${each * slots} in all (--ctx-total)`,
    ]
  })
  return lines.length === 0 ? '' : `${lines.join('\n')}\n\n`
}

/** What a model answers that is made for this. */
function firstCall(model: string | undefined, purpose: ModelPurpose): { readonly path: string; readonly body: object } {
  if (purpose === 'rank') {
    const documents = ['Stones are hard.', 'A river is water that flows.']
    return { path: '/v1/rerank', body: { model, query: 'What is a river?', documents } }
  }
  if (purpose === 'embed') return { path: '/v1/embeddings', body: { model, input: 'Hello!' } }
  return { path: '/v1/chat/completions', body: { model, messages: [{ role: 'user', content: 'Hello!' }] } }
}

/** A bar at a terminal, a log line elsewhere, while models load. Returns how to stop it. */
async function showProgress(engines: readonly Engine[], io: Io, logger: Logger): Promise<() => void> {
  const names = engines.flatMap((engine) => engine.models().map(({ root }) => path.basename(root)))
  if (engines.length === 0) return () => undefined
  if (!io.stderr.isTTY) {
    logger.info({ files: names }, 'loading models')
    return () => undefined
  }
  const { default: cliProgress } = await import('cli-progress')
  const bar = new cliProgress.SingleBar({
    format: `Loading ${names.join(', ')} {bar} {percentage} %`,
    stream: io.stderr,
    hideCursor: true,
    clearOnComplete: true,
  })
  bar.start(100, 0)
  const timer = setInterval(() => {
    const progress = engines.reduce((sum, engine) => sum + engine.status().loadProgress, 0) / engines.length
    bar.update(Math.round(progress * 100))
  }, 100)
  return () => {
    clearInterval(timer)
    bar.stop()
  }
}
