import { defaultValues } from '../../../src/core/index.ts'
import { engineOptions } from '../../../src/engine/options.ts'
import { protocolOptions } from '../../../src/protocol/options.ts'
import { schedulerOptions } from '../../../src/scheduler/options.ts'
import { createEmbeddedEngines, startServer, type RunningServer } from '../../../src/server/index.ts'
import { serverOptions } from '../../../src/server/options.ts'
import { telemetryOptions } from '../../../src/telemetry/options.ts'

/** A server of this process over one GGUF file, on a free port. The caller closes it. */
export async function serveFile(file: string, name: string): Promise<RunningServer> {
  const engines = createEmbeddedEngines([file], [name], { ...defaultValues(engineOptions), slots: 16 })
  const settings = {
    ...defaultValues(serverOptions),
    ...defaultValues(schedulerOptions),
    ...defaultValues(protocolOptions),
    ...defaultValues(telemetryOptions),
    port: 0,
  }
  const server = await startServer(settings, { engines, logTarget: { write: () => true } })
  await server.ready
  return server
}
