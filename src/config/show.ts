import type { OptionTable } from '../core/index.ts'
import { engineOptions } from '../engine/options.ts'
import { protocolOptions } from '../protocol/options.ts'
import { fleetOptions, schedulerOptions } from '../scheduler/options.ts'
import { serverOptions } from '../server/options.ts'
import { telemetryOptions } from '../telemetry/options.ts'
import { upstreamOptions } from '../upstream/options.ts'
import { formatPath, type Path } from './document.ts'
import { secretsOf, type LoadedConfig } from './load.ts'

/** A setting as it is in force. */
export interface ShownSetting {
  readonly path: string
  /** JSON, or `(secret)`. */
  readonly value: string
  /** `default`, or `tokenmill.yaml:12`, with the variables that were put in. */
  readonly source: string
}

/** Every setting of a configuration with its value and where it comes from, defaults included. Secrets never show. */
export function showConfig(config: LoadedConfig): ShownSetting[] {
  const secret = new Set(secretsOf(config.value).map(({ path }) => formatPath(path)))
  const shown: ShownSetting[] = []
  const visit = (value: unknown, path: Path): void => {
    const name = formatPath(path)
    const origin = config.originAt(path)
    const variables = origin?.variables ?? []
    const source =
      origin === undefined
        ? 'default'
        : `${config.file}:${origin.line}${variables.length === 0 ? '' : ` from ${variables.map((each) => `$${each}`).join(', ')}`}`
    // What comes from the environment may be a secret that nobody marked, such as a password in a URL.
    const hidden = secret.has(name) || variables.length > 0
    if (hidden) shown.push({ path: name, value: '(secret)', source })
    else if (typeof value === 'object' && value !== null && Object.keys(value).length > 0) {
      for (const [key, inner] of Object.entries(value))
        visit(inner, [...path, Array.isArray(value) ? Number(key) : key])
    } else shown.push({ path: name, value: JSON.stringify(value), source })
  }
  visit(config.value, [])
  for (const [section, tables] of Object.entries(sections)) {
    for (const table of tables) {
      for (const [name, option] of Object.entries(table)) {
        const path = `${section}.${name}`
        if (option.default === undefined || shown.some((setting) => setting.path.startsWith(path))) continue
        if (section === 'limits' && notLimits.has(name)) continue
        shown.push({ path, value: JSON.stringify(option.default), source: 'default' })
      }
    }
  }
  return shown
}

const sections: Readonly<Record<string, readonly OptionTable[]>> = {
  limits: [serverOptions, schedulerOptions, fleetOptions, protocolOptions, upstreamOptions, telemetryOptions],
  engine: [engineOptions],
}

/** Settings of the server that stand in `listen` and `apiKeys`. */
const notLimits = new Set(['host', 'port', 'apiKey', 'insecure', 'corsOrigin', 'allowedHost'])
