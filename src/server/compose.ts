import type { AddressInfo } from 'node:net'
import type { LoadedConfig } from '../config/index.ts'
import { systemClock, TokenmillError, type Clock, type OptionValues } from '../core/index.ts'
import type { Engine, UsageSink } from '../inference/index.ts'
import type { protocolOptions } from '../protocol/options.ts'
import { Admission } from '../scheduler/index.ts'
import { fleetOptions, type schedulerOptions } from '../scheduler/options.ts'
import { AccessLog, createLogger, FleetMetrics, Metrics, type LogTarget } from '../telemetry/index.ts'
import type { telemetryOptions } from '../telemetry/options.ts'
import { upstreamOptions } from '../upstream/options.ts'
import { createApp, type ServerTls } from './app.ts'
import { AttemptLog } from './attempt-log.ts'
import { registerDataPlane } from './data-plane.ts'
import { FleetModels } from './fleet-models.ts'
import { Guard, isLoopback } from './guard.ts'
import { ApiKeys } from './keys.ts'
import { registerManagement } from './management.ts'
import { ModelDirectory, type ModelTarget } from './models.ts'
import { OpenExchanges } from './open-exchanges.ts'
import type { serverOptions } from './options.ts'
import { readProduct } from './product.ts'

export type ServerSettings = OptionValues<typeof serverOptions> &
  OptionValues<typeof schedulerOptions> &
  OptionValues<typeof protocolOptions> &
  OptionValues<typeof telemetryOptions>

/** An engine and the names under which its models are offered. */
export interface ServedEngine {
  readonly engine: Engine
  readonly names: readonly { readonly name: string; readonly engineModel: string; readonly alias: boolean }[]
}

export interface ServerParts {
  readonly engines: readonly ServedEngine[]
  /** Models at endpoints, and keys, as a configuration file names them. */
  readonly config?: LoadedConfig
  readonly logTarget: LogTarget
  readonly clock?: Clock
  /** Further takers of usage records. */
  readonly sinks?: readonly UsageSink[]
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
  /**
   * Stops taking requests, lets running ones finish for at most drainMs, ends the rest, and frees everything.
   * Aborting `hurry` ends the waiting. Idempotent.
   */
  close(hurry?: AbortSignal): Promise<void>
}

/** Without a fleet nothing is relayed. */
const noRelay = { maxSseFrameBytes: 0, maxAnswerBytes: 0, maxContinuationBytes: 0 }

/** Sequences admitted to an engine that does not say how many it takes. */
const unknownCapacity = 256

/**
 * The composition root: everything that a server is made of, in the order in which a request meets it. Listens at
 * once, so that probes are answered while models load.
 */
export async function startServer(settings: ServerSettings, parts: ServerParts): Promise<RunningServer> {
  requireSafeBinding(settings, parts.config)
  const clock = parts.clock ?? systemClock
  const logger = createLogger(settings.logLevel, parts.logTarget)

  // Who may call
  const guard = new Guard({ host: settings.host, allowedHosts: settings.allowedHost, corsOrigins: settings.corsOrigin })
  const keys = new ApiKeys(settings.apiKey, parts.config?.value.apiKeys)

  // What serves them: a queue in front of each engine
  const embedded = parts.engines.flatMap(({ engine, names }): ModelTarget[] => {
    const admission = new Admission({
      name: names[0]?.name ?? engine.endpoint,
      capacity: () => engine.status().maxRunning ?? unknownCapacity,
      maxQueue: settings.maxQueue,
      maxQueueWaitMs: settings.maxQueueWaitMs,
      clock,
    })
    return names.map((served) => ({ ...served, engine, admission }))
  })
  const attemptLog = new AttemptLog(logger, clock)
  const fleet =
    parts.config === undefined
      ? undefined
      : new FleetModels(parts.config, clock, Math.random, {
          attemptEnded(attempt, error, committed) {
            fleetMetrics.attemptEnded(attempt.route.name, attempt.engine.endpoint, error)
            attemptLog.ended(attempt, error, committed)
          },
          endpointChanged(endpoint, state, error) {
            if (error === undefined) logger.info({ endpoint, state }, 'endpoint is well')
            else logger.warn({ endpoint, state }, error.message)
          },
        })
  const targets = (): readonly ModelTarget[] => [...embedded, ...(fleet?.targets() ?? [])]
  const directory = new ModelDirectory(targets(), Math.floor(clock.wallTimeMs() / 1000))

  // Where each request's account goes
  const metrics = new Metrics(
    () => directory.gauges(),
    () => parts.logTarget.droppedLines ?? 0,
  )
  const fleetMetrics = new FleetMetrics(metrics.registry, () => fleet?.gauges() ?? [])
  const accessLog = new AccessLog(settings.logLevel, parts.logTarget, clock)
  const sinks: readonly UsageSink[] = [
    (record) => metrics.record(record),
    (record) => accessLog.write(record),
    ...(parts.sinks ?? []),
  ]

  // HTTP
  const tls = parts.config === undefined ? undefined : serverTls(parts.config)
  const exchanges = new OpenExchanges()
  let state: 'loading' | 'serving' | 'draining' = 'loading'
  const app = await createApp({
    limits: settings,
    corsOrigins: settings.corsOrigin,
    guard,
    keys,
    clock,
    logger,
    sink: (record) => {
      for (const sink of sinks) sink(record)
    },
    exchanges,
    tls,
  })
  registerDataPlane(app, {
    directory,
    metrics,
    limits: settings,
    relayLimits: () => fleet?.limits ?? noRelay,
    requireOpen: () => {
      if (state === 'draining') throw drainingError()
    },
  })
  registerManagement(app, {
    directory,
    metrics,
    product: readProduct(),
    notReady: () => (state === 'serving' ? notServing(directory.targets) : `The server is ${state}.`),
  })
  await listen(app, settings)

  const ready = Promise.all([loadAll(parts.engines), fleet?.probed()]).then(() => {
    if (state === 'loading') state = 'serving'
  })
  // Whoever never asks for `ready` still closes cleanly.
  ready.catch(() => undefined)

  let inForce = parts.config
  let closing: Promise<void> | undefined
  return {
    url: urlOf(app.server.address() as AddressInfo, tls !== undefined),
    ready,
    async reconfigure(config) {
      if (fleet === undefined)
        throw new TokenmillError('startup', 'The server was started without a configuration file.')
      await fleet.apply(config)
      keys.setStored(config.value.apiKeys)
      directory.setTargets(targets())
      const fixed = inForce === undefined ? [] : changedFixed(inForce, config)
      inForce = config
      return fixed
    },
    close(hurry) {
      state = 'draining'
      closing ??= (async () => {
        await exchanges.drain(settings.drainMs, clock, drainingError(), hurry)
        await Promise.all([...parts.engines.map(({ engine }) => engine.close()), fleet?.close()])
        await app.close()
        metrics.close()
      })()
      return closing
    },
  }
}

async function listen(app: Awaited<ReturnType<typeof createApp>>, settings: ServerSettings): Promise<void> {
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
async function loadAll(engines: readonly ServedEngine[]): Promise<void> {
  const signal = new AbortController().signal
  const results = await Promise.allSettled(engines.map(async ({ engine }) => await engine.ready(signal)))
  const failures = results.filter((result) => result.status === 'rejected').map((result): unknown => result.reason)
  if (failures.length === 0) return
  const messages = failures.map((failure) => (failure instanceof Error ? failure.message : String(failure)))
  throw new TokenmillError('startup', messages.join('\n'), {}, failures[0])
}

function notServing(engines: readonly { readonly engine: Engine }[]): string | undefined {
  const states = engines.map(({ engine }) => engine.status().state)
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
function requireSafeBinding({ host, apiKey, insecure }: ServerSettings, config: LoadedConfig | undefined): void {
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
