import type { EndpointConfig, LoadedConfig, ModelConfig } from '../config/index.ts'
import { sleep, toTokenmillError, type Clock } from '../core/index.ts'
import type { EngineModel } from '../inference/index.ts'
import { fleetLimits, modelSpecs } from './engine-factory.ts'

/** What one look at a remote endpoint found. */
export interface ProbedEndpoint {
  /** Name of the model that it serves here. */
  readonly model: string
  readonly endpoint: string
  /** Models under the endpoint's own names; empty where there is a problem. */
  readonly offers: readonly EngineModel[]
  readonly problem: string | undefined
}

/**
 * Looks once at every remote endpoint of a configuration, as a server does at its start; embedded engines are left out.
 * Nothing is changed there: a Triton server is not asked to load or unload a model.
 */
export async function probeEndpoints(config: LoadedConfig, clock: Clock): Promise<readonly ProbedEndpoint[]> {
  const remote = { ...config, value: { ...config.value, models: config.value.models.map(remotePart) } }
  const { probeTimeoutMs, unhealthyAfter } = fleetLimits(config)
  const specs = modelSpecs(remote, { clock })
  return await Promise.all(
    specs.flatMap(({ names: [model], replicas }) =>
      replicas.map(async ({ create }): Promise<ProbedEndpoint> => {
        const engine = create()
        const enough = new AbortController()
        try {
          await Promise.race([
            engine.ready(enough.signal),
            // The engine itself gives up sooner; this bounds what it does not.
            sleep(probeTimeoutMs * (unhealthyAfter + 1), clock, enough.signal).then(() => {
              throw new Error('It did not answer in time.')
            }),
          ])
          return { model, endpoint: engine.endpoint, offers: engine.models(), problem: undefined }
        } catch (error) {
          return { model, endpoint: engine.endpoint, offers: [], problem: toTokenmillError(error).message }
        } finally {
          enough.abort()
          await engine.close()
        }
      }),
    ),
  )
}

function remotePart(model: ModelConfig): ModelConfig {
  return { ...model, endpoints: model.endpoints.filter(({ engine }) => engine !== 'embedded').map(onlyLooking) }
}

function onlyLooking(endpoint: EndpointConfig): EndpointConfig {
  return { ...endpoint, repository: 'none' }
}
