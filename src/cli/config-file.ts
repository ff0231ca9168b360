import type { LoadedConfig } from '../config/index.ts'
import { systemClock, toTokenmillError } from '../core/index.ts'
import { serverOptions } from '../server/options.ts'
import type { RunningServer } from '../server/index.ts'
import type { Io } from './command.ts'

/** A configuration file in use. */
export interface ConfigFile {
  readonly loaded: LoadedConfig
  /** Follows the file from now on, and SIGHUP; returns how to stop. What becomes of it is a line of the log. */
  watch(server: RunningServer): () => void
}

/** Reads a configuration file. Throws `startup` with every problem in it. */
export async function openConfig(file: string, io: Io): Promise<ConfigFile> {
  const { ConfigWatch, loadConfig } = await import('../config/index.ts')
  const loaded = loadConfig(file, io.env)
  return {
    loaded,
    watch(server) {
      const take = async (config: LoadedConfig): Promise<void> => {
        try {
          server.reloads.applied(file, await server.reconfigure(config))
        } catch (error) {
          server.reloads.refused(file, toTokenmillError(error))
        }
      }
      const watch = new ConfigWatch(
        {
          file,
          env: io.env,
          clock: systemClock,
          onChange: (config) => void take(config),
          onError: (error) => server.reloads.refused(file, error),
        },
        loaded,
      )
      const onHangUp = (): void => watch.reload()
      process.on('SIGHUP', onHangUp)
      return () => {
        process.off('SIGHUP', onHangUp)
        watch.close()
      }
    },
  }
}

/** What the file says for the flags of `serve`; a flag that was given wins. */
export function settingsOf({ value }: LoadedConfig, given: ReadonlySet<string>): Record<string, unknown> {
  const { corsOrigins, allowedHosts, host, port, insecure } = value.listen
  const relaysOnly = value.models.every(({ endpoints }) => endpoints.every(({ engine }) => engine !== 'embedded'))
  const all: Record<string, unknown> = {
    // Beside an engine its CPU is nothing; a process that only relays has nothing else to do.
    memorySaver: relaysOnly ? false : undefined,
    ...value.limits,
    ...value.engine,
    host,
    port,
    insecure,
    corsOrigin: corsOrigins ?? serverOptions.corsOrigin.default,
    allowedHost: allowedHosts ?? serverOptions.allowedHost.default,
  }
  return Object.fromEntries(Object.entries(all).filter(([name, setting]) => setting !== undefined && !given.has(name)))
}
