import type { LoadedConfig } from '../config/index.ts'
import { TokenmillError } from '../core/index.ts'
import { serverOptions } from '../server/options.ts'
import type { Io } from './command.ts'

type Path = Parameters<LoadedConfig['originAt']>[0]

/**
 * What only opening the models shows: GGUF files and adapters of embedded engines that are missing, damaged or do not fit
 * together, and a binding that `serve` would refuse. Throws `startup` with every problem and its line.
 */
export async function checkParts(config: LoadedConfig, io: Io): Promise<void> {
  const [{ checkLoraAdapter, readGgufMetadata }, { requireSafeBinding }] = await Promise.all([
    import('../model/index.ts'),
    import('../server/index.ts'),
  ])
  const problems: string[] = []
  const attempt = <T>(path: Path, work: () => T): T | undefined => {
    try {
      return work()
    } catch (error) {
      if (!(error instanceof TokenmillError)) throw error
      problems.push(`${placeOf(config, path)}: ${error.message}`)
      return undefined
    }
  }
  config.value.models.forEach((model, m) => {
    model.endpoints.forEach((endpoint, e) => {
      if (endpoint.engine !== 'embedded') return
      const metadata = attempt(['models', m, 'endpoints', e, 'model'], () => readGgufMetadata(endpoint.model ?? ''))
      if (metadata === undefined) return
      for (const [name, adapter] of Object.entries(model.adapters)) {
        const file = typeof adapter === 'string' ? adapter : adapter.file
        attempt(['models', m, 'adapters', name], () => checkLoraAdapter(file, metadata))
      }
    })
  })
  const { host = serverOptions.host.default, insecure = false } = config.value.listen
  const apiKey = [io.env['TOKENMILL_API_KEY'] ?? ''].filter((key) => key !== '')
  attempt(['listen', 'host'], () => requireSafeBinding({ host, apiKey, insecure }, config))
  if (problems.length === 0) return
  const count = problems.length === 1 ? 'a problem' : `${problems.length} problems`
  throw new TokenmillError('startup', `The configuration has ${count}:\n${problems.join('\n')}`)
}

/** `tokenmill.yaml:3 models[0].endpoints[0].model` */
function placeOf(config: LoadedConfig, path: Path): string {
  const name = path.reduce<string>(
    (text, step) => (typeof step === 'number' ? `${text}[${step}]` : `${text}.${step}`),
    '',
  )
  return `${config.file}:${config.originAt(path)?.line ?? 1} ${name.slice(1)}`
}
