import { createHash } from 'node:crypto'
import type { EndpointConfig, LoadedConfig, ModelConfig } from '../config/index.ts'
import { optionValues, type OptionValues } from '../core/index.ts'
import { createEmbeddedEngine } from '../engine/index.ts'
import { engineOptions } from '../engine/options.ts'
import type { Engine } from '../inference/index.ts'
import type { PoolLimits, ReplicaSpec } from '../scheduler/index.ts'
import { fleetOptions, schedulerOptions, type PlacementName } from '../scheduler/options.ts'
import {
  OpenAiEngine,
  TritonEngine,
  type EndpointHost,
  type EndpointSettings,
  type TritonSettings,
} from '../upstream/index.ts'
import { providerUrls, upstreamOptions } from '../upstream/options.ts'

/** A model as a configuration describes it: its names, its replicas, its limits. Nothing of it exists yet. */
export interface ModelSpec {
  /** The model's own name first, then those of its aliases and adapters. */
  readonly names: readonly [string, ...string[]]
  readonly replicas: readonly ReplicaSpec[]
  readonly placement: PlacementName
  readonly limits: PoolLimits
  readonly fallbacks: readonly string[]
}

/** Limits of a configuration file: those that it sets, else the defaults. */
export type FleetLimits = OptionValues<typeof fleetOptions> &
  OptionValues<typeof upstreamOptions> &
  OptionValues<typeof schedulerOptions>

export function fleetLimits({ value }: LoadedConfig): FleetLimits {
  return {
    ...optionValues(fleetOptions, value.limits),
    ...optionValues(upstreamOptions, value.limits),
    ...optionValues(schedulerOptions, value.limits),
  }
}

/** The models of a configuration file. Engines are made when a specification's `create` is called, and watched by `host`. */
export function modelSpecs(config: LoadedConfig, host: EndpointHost): readonly ModelSpec[] {
  const limits = fleetLimits(config)
  return config.value.models.map((model): ModelSpec => ({
    names: [model.name, ...Object.keys(model.adapters)],
    replicas: model.endpoints.map((endpoint, at) => replicaSpec(config, model, endpoint, at, host)),
    placement: model.placement ?? limits.placement,
    limits: { ...limits, ...defined(model.timeouts), ...defined(model.retries) },
    fallbacks: model.fallbacks,
  }))
}

function replicaSpec(
  config: LoadedConfig,
  model: ModelConfig,
  endpoint: EndpointConfig,
  at: number,
  host: EndpointHost,
): ReplicaSpec {
  const { settings, create } = engineOf(config, model, endpoint, host)
  const { weight, labels } = endpoint
  return {
    // Equal settings are the same engine. A hash, since secrets are in it.
    key: createHash('sha256').update(JSON.stringify(settings)).digest('hex'),
    // Several embedded engines of one model share their name: the place in the file tells them apart.
    id: (engine) => (kindOf(endpoint) === 'embedded' ? `${engine.endpoint}#${at}` : engine.endpoint),
    weight,
    labels,
    create,
  }
}

/** Everything that the engine depends on, and how to make it. */
function engineOf(
  config: LoadedConfig,
  model: ModelConfig,
  endpoint: EndpointConfig,
  host: EndpointHost,
): { readonly settings: object; readonly create: () => Engine } {
  const kind = kindOf(endpoint)
  if (kind === 'embedded') return embeddedEngine(config, model, endpoint)
  if (kind === 'triton') {
    const settings = tritonSettings(config, model, endpoint)
    return { settings, create: () => new TritonEngine(settings, host) }
  }
  const settings = endpointSettings(config, model, endpoint, kind)
  return { settings, create: () => new OpenAiEngine(settings, host) }
}

function embeddedEngine(config: LoadedConfig, model: ModelConfig, endpoint: EndpointConfig) {
  const adapters = Object.entries(model.adapters).map(([name, adapter]) =>
    typeof adapter === 'string'
      ? { name, path: adapter, scale: 1 }
      : { name, path: adapter.file, scale: adapter.scale },
  )
  const endpoints = config.value.models.flatMap(({ endpoints }) => endpoints)
  const engines = endpoints.filter(({ engine }) => engine === 'embedded').length
  const local = { path: endpoint.model ?? '', name: model.name, adapters, engines }
  const options = optionValues(engineOptions, config.value.engine)
  return {
    settings: { local, options },
    create: () => {
      const engine = createEmbeddedEngine(local, options)
      // It loads in the background; until then its status says so.
      engine.ready(new AbortController().signal).catch(() => undefined)
      return engine
    },
  }
}

function tritonSettings(config: LoadedConfig, model: ModelConfig, endpoint: EndpointConfig): TritonSettings {
  const { chatTemplate, metricsUrl, repository = 'none' } = endpoint
  return {
    ...endpointSettings(config, model, endpoint, 'auto'),
    chatTemplate: chatTemplate === undefined ? undefined : config.secret(chatTemplate),
    metricsUrl,
    repository,
  }
}

function endpointSettings(
  config: LoadedConfig,
  model: ModelConfig,
  endpoint: EndpointConfig,
  engine: EndpointSettings['engine'],
): EndpointSettings {
  const read = (secret: EndpointConfig['apiKey']) => (secret === undefined ? undefined : config.secret(secret))
  const { tls } = endpoint
  const { connectMs, idleMs } = model.timeouts
  return {
    url: endpoint.url ?? (endpoint.provider === undefined ? undefined : providerUrls[endpoint.provider]) ?? '',
    provider: endpoint.provider,
    engine,
    model: endpoint.model,
    apiKey: read(endpoint.apiKey),
    headers: Object.fromEntries(Object.entries(endpoint.headers).map(([name, value]) => [name, config.secret(value)])),
    priority: endpoint.priority,
    tls:
      tls === undefined
        ? undefined
        : {
            ca: read(tls.ca),
            cert: read(tls.cert),
            key: read(tls.key),
            serverName: tls.serverName,
            verify: tls.verify ?? true,
          },
    limits: { ...optionValues(upstreamOptions, config.value.limits), ...defined({ connectMs, idleMs }) },
  }
}

/** The engine that an endpoint names, or that its address gives away. */
function kindOf({ engine, url, provider }: EndpointConfig): EndpointConfig['engine'] {
  if (provider !== undefined) return 'openai'
  return engine === 'auto' && url?.startsWith('grpc') === true ? 'triton' : engine
}

/** Without the settings that were not given. */
function defined<T extends object>(given: T): { [Key in keyof T]: Exclude<T[Key], undefined> } {
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)) as {
    [Key in keyof T]: Exclude<T[Key], undefined>
  }
}
