import type { LoadedConfig } from '../config/index.ts'
import { systemClock } from '../core/index.ts'
import { serverOptions } from '../server/options.ts'
import type { RunningServer } from '../server/index.ts'
import type { Io } from './command.ts'

/** A configuration file in use. */
export interface ConfigFile {
  readonly loaded: LoadedConfig
  /** Follows the file from now on, and SIGHUP; returns how to stop. What goes wrong is told on stderr. */
  watch(server: RunningServer): () => void
}

/** Reads a configuration file. Throws `startup` with every problem in it. */
export async function openConfig(file: string, io: Io): Promise<ConfigFile> {
  const { ConfigWatch, loadConfig } = await import('../config/index.ts')
  const loaded = loadConfig(file, io.env)
  const tell = (text: string): void => void io.stderr.write(`tokenmill: ${text}\n`)
  return {
    loaded,
    watch(server) {
      const take = async (config: LoadedConfig): Promise<void> => {
        try {
          const fixed = await server.reconfigure(config)
          tell(`${file} was read again.`)
          if (fixed.length > 0) tell(`These settings need a restart: ${fixed.join(', ')}.`)
        } catch (error) {
          refuse(error instanceof Error ? error : new Error(String(error)))
        }
      }
      const refuse = (error: Error): void =>
        tell(`${file} was not taken over; the old configuration stays. ${error.message}`)
      const watch = new ConfigWatch(
        { file, env: io.env, clock: systemClock, onChange: (config) => void take(config), onError: refuse },
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
