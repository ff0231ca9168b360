import type { AddressInfo } from 'node:net'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { FastifyInstance } from 'fastify'
import type { LoadedConfig } from '../config/index.ts'
import { systemClock, TokenmillError, type Clock, type OptionValues } from '../core/index.ts'
import type { Engine, UsageSink } from '../inference/index.ts'
import type { protocolOptions } from '../protocol/options.ts'
import { Dispatcher, statusOf, type ModelPool } from '../scheduler/index.ts'
import { fleetOptions, type schedulerOptions } from '../scheduler/options.ts'
import { AccessLog, ConfigReloads, createLogger, FleetMetrics, Metrics, type LogTarget } from '../telemetry/index.ts'
import type { telemetryOptions } from '../telemetry/options.ts'
import { upstreamOptions } from '../upstream/options.ts'
import { AttemptLog } from './attempt-log.ts'
import { Cors } from './cors.ts'
import { DataPlane } from './data-plane.ts'
import { Deployment } from './deployment.ts'
import type { ServedEngine } from './embedded-engines.ts'
import { createFramework } from './framework.ts'
import { Guard, isLoopback } from './guard.ts'
import { createHttpServer, type ServerTls } from './http-server.ts'
import { ApiKeys } from './keys.ts'
import { registerManagement } from './management.ts'
import { OpenExchanges } from './open-exchanges.ts'
import type { serverOptions } from './options.ts'
import { readProduct } from './product.ts'

export type ServerSettings = OptionValues<typeof serverOptions> &
  OptionValues<typeof schedulerOptions> &
  OptionValues<typeof protocolOptions> &
  OptionValues<typeof telemetryOptions>

export interface ServerParts {
  readonly engines: readonly ServedEngine[]
  /** Models at endpoints, and keys, as a configuration file names them. */
  readonly config?: LoadedConfig
  readonly logTarget: LogTarget
  readonly clock?: Clock
  /** Further takers of usage records. */
  readonly sinks?: readonly UsageSink[]
  /** Sees each request first; true: it answers it itself. For servers that misbehave on purpose. */
  readonly intercept?: (request: IncomingMessage, response: ServerResponse) => boolean
}

export interface RunningServer {
  /** `http://127.0.0.1:8080`: where it listens in fact. */
  readonly url: string
  /** Resolves once every model has loaded; rejects with `startup` naming those that could not. */
  readonly ready: Promise<void>
  /**
   * Takes a changed configuration file over: models, endpoints, keys, the fleet's limits. Streams go on. Rejects
   * with `startup` and keeps the old one where it cannot be taken. Returns the settings that need a restart.
   */
  reconfigure(config: LoadedConfig): Promise<readonly string[]>
  /** Where it is told what became of a changed configuration file. */
  readonly reloads: ConfigReloads
  /**
   * Stops taking requests, lets running ones finish for at most drainMs, ends the rest, and frees everything.
   * Aborting `hurry` ends the waiting. Idempotent.
   */
  close(hurry?: AbortSignal): Promise<void>
}

/** Without a configuration file nothing is relayed. */
const noRelay = { maxSseFrameBytes: 0, maxAnswerBytes: 0 }

/**
 * The composition root: everything that a server is made of, in the order in which a request meets it. Listens at
 * once, so that probes are answered while models load.
 */
export async function startServer(settings: ServerSettings, parts: ServerParts): Promise<RunningServer> {
  requireSafeBinding(settings, parts.config)
  const clock = parts.clock ?? systemClock
  const logger = createLogger(settings.logLevel, parts.logTarget)
  const lifecycle = new Lifecycle()

  // Who may call
  const guard = new Guard({ host: settings.host, allowedHosts: settings.allowedHost, corsOrigins: settings.corsOrigin })
  const cors = new Cors(settings.corsOrigin)
  const keys = new ApiKeys(settings.apiKey, parts.config?.value.apiKeys)

  // What serves them
  const deployment = new Deployment({
    engines: parts.engines,
    config: parts.config,
    queue: settings,
    clock,
    random: Math.random,
    endpointChanged(endpoint, state, error) {
      if (error === undefined) logger.info({ endpoint, state }, 'endpoint recovered')
      else logger.warn({ endpoint, state }, error.message)
    },
  })
  const { routes } = deployment

  // Where each request's account goes
  const metrics = new Metrics(
    () => routes.modelGauges(),
    () => parts.logTarget.droppedLines ?? 0,
  )
  const fleetMetrics = new FleetMetrics(metrics.registry, () => routes.endpointGauges())
  const accessLog = new AccessLog(settings.logLevel, parts.logTarget, clock)
  const sinks: readonly UsageSink[] = [
    (record) => metrics.record(record),
    (record) => accessLog.write(record),
    ...(parts.sinks ?? []),
  ]
  const attemptLog = new AttemptLog(logger, clock)

  // The life of a request
  const dispatcher = new Dispatcher(
    (name) => routes.find(name),
    clock,
    Math.random,
    (attempt, error, committed) => {
      fleetMetrics.attemptEnded(attempt.route.name, attempt.engine.endpoint, error)
      attemptLog.ended(attempt, error, committed)
    },
  )
  const exchanges = new OpenExchanges()
  const dataPlane = new DataPlane({
    limits: settings,
    guard,
    keys,
    clock,
    logger,
    sink: (record) => {
      for (const sink of sinks) sink(record)
    },
    exchanges,
    run: {
      routes,
      dispatcher,
      metrics,
      clock,
      limits: settings,
      relayLimits: () => deployment.limits ?? noRelay,
    },
    closed: () => lifecycle.refusal,
  })

  // HTTP: the data plane first, the framework for the rest
  const tls = parts.config === undefined ? undefined : serverTls(parts.config)
  const app = createFramework({
    guard,
    keys,
    logger,
    isDataPath: (path) => dataPlane.has(path),
    draining: () => lifecycle.refusal !== undefined,
    createServer: (framework) => {
      const listener = (request: IncomingMessage, response: ServerResponse): void => {
        if (parts.intercept?.(request, response) === true) return
        if (!cors.handle(request, response) && !dataPlane.handle(request, response)) framework(request, response)
      }
      return createHttpServer(listener, settings, tls)
    },
  })
  registerManagement(app, {
    routes,
    metrics,
    product: readProduct(),
    notReady: () => (lifecycle.state === 'serving' ? notServing(routes.pools) : `The server is ${lifecycle.state}.`),
  })
  await listen(app, settings)

  const ready = Promise.all([loadAll(parts.engines), deployment.probed()]).then(() => lifecycle.serve())
  // A caller that never asks for `ready` still closes cleanly.
  ready.catch(() => undefined)

  let inForce = parts.config
  let closing: Promise<void> | undefined
  return {
    url: urlOf(app.server.address() as AddressInfo, tls !== undefined),
    ready,
    reloads: new ConfigReloads(metrics.registry, logger),
    async reconfigure(config) {
      await deployment.apply(config)
      keys.setStored(config.value.apiKeys)
      const fixed = inForce === undefined ? [] : changedFixed(inForce, config)
      inForce = config
      return fixed
    },
    close(hurry) {
      lifecycle.drain()
      closing ??= (async () => {
        await exchanges.drain(settings.drainMs, clock, drainingError(), hurry)
        await deployment.close()
        await app.close()
        metrics.close()
      })()
      return closing
    },
  }
}

/** loading → serving → draining; a server that is told to end while it loads never serves. */
class Lifecycle {
  state: 'loading' | 'serving' | 'draining' = 'loading'

  serve(): void {
    if (this.state === 'loading') this.state = 'serving'
  }

  drain(): void {
    this.state = 'draining'
  }

  /** What a request is told that comes too late. */
  get refusal(): TokenmillError | undefined {
    return this.state === 'draining' ? drainingError() : undefined
  }
}

async function listen(app: FastifyInstance, settings: ServerSettings): Promise<void> {
  try {
    await app.listen({ host: settings.host, port: settings.port })
  } catch (error) {
    await app.close()
    throw listenError(error, settings)
  }
}

function listenError(error: unknown, { host, port }: ServerSettings): TokenmillError {
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  const reasons: Readonly<Record<string, string>> = {
    EADDRINUSE: `Port ${port} on ${host} is taken. Stop what listens there, or choose another with --port (0 takes a free one).`,
    EACCES: `Port ${port} on ${host} may not be used by this user. Choose one above 1023 with --port.`,
    EADDRNOTAVAIL: `The address ${host} is not one of this machine. Choose another with --host.`,
    ENOTFOUND: `The name ${host} has no address. Choose another with --host.`,
  }
  return new TokenmillError('startup', reasons[code] ?? `Cannot listen on ${host}:${port}: ${String(error)}`, {}, error)
}

/** Loads all engines at once; every failure is in the one error. */
async function loadAll(engines: readonly { readonly engine: Engine }[]): Promise<void> {
  const signal = new AbortController().signal
  const results = await Promise.allSettled(engines.map(async ({ engine }) => await engine.ready(signal)))
  const failures = results.filter((result) => result.status === 'rejected').map((result): unknown => result.reason)
  if (failures.length === 0) return
  const messages = failures.map((failure) => (failure instanceof Error ? failure.message : String(failure)))
  throw new TokenmillError('startup', messages.join('\n'), {}, failures[0])
}

function notServing(pools: readonly ModelPool[]): string | undefined {
  const states = pools.map((pool) => statusOf(pool).state)
  // An unloaded model loads again with its next request.
  if (states.some((state) => state === 'ready' || state === 'unloaded')) return undefined
  return `No model can serve now: ${states.join(', ') || 'none is configured'}.`
}

function drainingError(): TokenmillError {
  return new TokenmillError('unavailable', 'The server is shutting down. Retry in 1 s, at another replica.', {
    retryAfterMs: 1000,
  })
}

/** What a new file sets that is read at the start alone. */
function changedFixed(before: LoadedConfig, after: LoadedConfig): string[] {
  const live: ReadonlySet<string> = new Set([...Object.keys(fleetOptions), ...Object.keys(upstreamOptions)])
  const fixed = ({ value }: LoadedConfig) => ({
    listen: value.listen,
    ...Object.fromEntries(Object.entries(value.limits).filter(([name]) => !live.has(name))),
  })
  const [old, fresh]: Record<string, unknown>[] = [fixed(before), fixed(after)]
  const names = new Set([...Object.keys(old ?? {}), ...Object.keys(fresh ?? {})])
  return [...names].filter((name) => JSON.stringify(old?.[name]) !== JSON.stringify(fresh?.[name]))
}

function serverTls({ value, secret }: LoadedConfig): ServerTls | undefined {
  const { tls } = value.listen
  if (tls === undefined) return undefined
  const clientCa = tls.clientCa === undefined ? undefined : secret(tls.clientCa)
  return { cert: secret(tls.cert), key: secret(tls.key), clientCa }
}

/** Beyond loopback somebody has to have decided who may call. Throws `startup`. */
export function requireSafeBinding(
  { host, apiKey, insecure }: Pick<ServerSettings, 'host' | 'apiKey' | 'insecure'>,
  config: LoadedConfig | undefined,
): void {
  const keys = apiKey.length + (config?.value.apiKeys.length ?? 0)
  if (isLoopback(host) || keys > 0 || insecure) return
  throw new TokenmillError(
    'startup',
    `Listening on ${host} lets others than this machine call. Give an API key (--api-key, or TOKENMILL_API_KEY), ` +
      'or say --insecure if anybody who reaches the port may use it.',
  )
}

function urlOf({ address, family, port }: AddressInfo, secure: boolean): string {
  return `${secure ? 'https' : 'http'}://${family === 'IPv6' ? `[${address}]` : address}:${port}`
}
