import type { LoadedConfig } from '../../src/config/index.ts'
import { defaultValues } from '../../src/core/index.ts'
import type { Engine, UsageRecord } from '../../src/inference/index.ts'
import { protocolOptions } from '../../src/protocol/options.ts'
import { schedulerOptions } from '../../src/scheduler/options.ts'
import { startServer, type RunningServer, type ServerSettings } from '../../src/server/index.ts'
import { serverOptions } from '../../src/server/options.ts'
import { telemetryOptions } from '../../src/telemetry/options.ts'

/** A server of this process over given engines, on a free port, with its usage records and log lines in hand. */
export interface TestServer extends RunningServer {
  readonly records: UsageRecord[]
  readonly logLines: string[]
}

export async function startTestServer(
  engines: Engine | readonly Engine[],
  settings: Partial<ServerSettings> = {},
  config?: LoadedConfig,
): Promise<TestServer> {
  const records: UsageRecord[] = []
  const logLines: string[] = []
  const list: readonly Engine[] = Array.isArray(engines) ? engines : [engines as Engine]
  const server = await startServer(
    {
      ...defaultValues(serverOptions),
      ...defaultValues(schedulerOptions),
      ...defaultValues(protocolOptions),
      ...defaultValues(telemetryOptions),
      port: 0,
      ...settings,
    },
    {
      engines: list.map((engine) => ({
        engine,
        names: engine.models().map(({ name }) => name),
      })),
      logTarget: { write: (line) => logLines.push(line) },
      sinks: [(record) => records.push(record)],
      ...(config === undefined ? {} : { config }),
    },
  )
  await server.ready
  return { ...server, records, logLines }
}
