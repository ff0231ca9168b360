import type { Clock } from '../core/index.ts'
import { LogHistogram } from '../workload/index.ts'
import { startLoad } from './client/load-fleet.ts'
import type { ClientHealth } from './client/worker-messages.ts'
import { RunAggregate, type WarmUp } from './metrics/aggregate.ts'
import type { RequestRecord } from './metrics/record.ts'
import { findSaturation, measuredWindow, summarise, type Price } from './metrics/summary.ts'
import { EnergyWatch, type EnergyMeter } from './observe/energy.ts'
import { ServerWatch } from './observe/server-metrics.ts'
import type { LoadPlan } from './plan.ts'
import type { ClientFigures, RunResult } from './result.ts'
import type { ClientLimits } from './run-parts.ts'
import { toRunResult } from './run-result.ts'

export interface RunOptions {
  readonly plan: LoadPlan
  readonly workers: number
  readonly warmUp: WarmUp
  readonly price: Price
  readonly tokenizerPath: string | undefined
  /** Where to scrape the server's metrics; undefined: nowhere. */
  readonly metricsUrl: string | undefined
  readonly metricsPeriodMs: number
  readonly meters: readonly EnergyMeter[]
  readonly limits: ClientLimits
  readonly clock: Clock
  /** The user stops the run: what still runs is given up, what was measured is reported. */
  readonly stop: AbortSignal
  /** Fires when enough is known: the run ends as on its last request, and is not called interrupted. */
  readonly enough?: AbortSignal
  readonly onRecord?: (record: RequestRecord) => void
  readonly onProgress?: (progress: RunProgress) => void
}

export interface RunProgress {
  readonly atMs: number
  readonly inFlight: number
  /** Everything so far. */
  readonly aggregate: RunAggregate
  /** What lies after the warm-up. */
  readonly steady: RunAggregate
}

/** Offers one plan's load and measures it. Never throws for what a server does. */
export async function runLoad(options: RunOptions): Promise<RunResult> {
  const { plan, clock } = options
  const nowMs = (): number => clock.now()
  const steady = new RunAggregate(plan.classes, options.warmUp)
  const whole = new RunAggregate(plan.classes, { kind: 'none' })
  const startedAt = new Date(clock.wallTimeMs()).toISOString()
  let failuresInRow = 0
  let givenUp: string | undefined
  let stopFleet: () => void = () => {}
  let originMs = nowMs()
  const fleet = await startLoad({
    plan,
    workers: options.workers,
    nowMs,
    tokenizerPath: options.tokenizerPath,
    onRecord: (record) => {
      steady.take(record)
      whole.take(record)
      options.onRecord?.(record)
      failuresInRow = record.outcome === 'ok' ? 0 : failuresInRow + 1
      if (failuresInRow < options.limits.maxFailuresInRow || givenUp !== undefined) return
      givenUp = `${failuresInRow} requests failed in a row, the last with ${record.outcome}: ${record.message}`
      stopFleet()
    },
    onProgress: (inFlight) => {
      options.onProgress?.({ atMs: nowMs() - originMs, inFlight, aggregate: whole, steady })
    },
  })
  originMs = fleet.originMs
  const onStop = (): void => fleet.stop('now')
  stopFleet = onStop
  const sinceStart = (): number => nowMs() - originMs
  const server =
    options.metricsUrl === undefined
      ? undefined
      : new ServerWatch(options.metricsUrl, plan.target.headers, sinceStart, options.metricsPeriodMs, clock)
  const energy = options.meters.map((meter) => new EnergyWatch(meter, sinceStart, clock))
  server?.start()
  for (const each of energy) each.start()
  if (options.stop.aborted) onStop()
  else options.stop.addEventListener('abort', onStop, { once: true })
  options.enough?.addEventListener('abort', onStop, { once: true })
  try {
    const health = await fleet.done
    await Promise.all(energy.map((each) => each.stop()))
    const aggregate = measuredWindow(steady).steady ? steady : whole
    const window = measuredWindow(aggregate)
    const joules = energy.map((each) => each.joulesBetween(window.startMs, window.endMs))
    const known = joules.filter((each) => each !== undefined)
    const summary = summarise({
      aggregate,
      classes: plan.classes,
      price: options.price,
      joules: known.length > 0 && known.length === joules.length ? known.reduce((a, b) => a + b, 0) : undefined,
    })
    return toRunResult({
      plan,
      startedAt,
      originMs,
      aggregate,
      whole,
      summary,
      window,
      saturation: findSaturation(aggregate),
      client: clientFigures(health, aggregate, whole),
      limits: options.limits,
      serverSamples: server?.samples ?? [],
      serverProblem: server?.problem,
      energy: energy.map((each, index) => ({
        name: each.name,
        basis: each.basis,
        joules: joules[index] ?? null,
        problem: each.problem,
      })),
      interrupted: options.stop.aborted,
      givenUp,
    })
  } finally {
    options.stop.removeEventListener('abort', onStop)
    server?.stop()
  }
}

function clientFigures(health: readonly ClientHealth[], aggregate: RunAggregate, whole: RunAggregate): ClientFigures {
  const receive = new LogHistogram(1.02)
  const loop = new LogHistogram(1.02)
  let [cpuMs, resent] = [0, 0]
  for (const each of health) {
    receive.merge(LogHistogram.fromJSON(each.receiveLagMs))
    loop.merge(LogHistogram.fromJSON(each.loopDelayMs))
    cpuMs += each.cpuMs
    resent += each.resent
  }
  const send = aggregate.distributions.sendLagMs
  const seconds = Math.max(1e-9, whole.lastEndMs / 1000)
  return {
    threads: health.length,
    sendLagMsP50: orNull(send.quantile(0.5)),
    sendLagMsP99: orNull(send.quantile(0.99)),
    receiveLagMsP50: orNull(receive.quantile(0.5)),
    receiveLagMsP99: orNull(receive.quantile(0.99)),
    loopDelayMsP50: orNull(loop.quantile(0.5)),
    loopDelayMsP99: orNull(loop.quantile(0.99)),
    reads: receive.count,
    resent,
    cpuMs,
    cpuShare: cpuMs / 1000 / seconds,
    peakRssBytes: process.resourceUsage().maxRSS * 1024,
  }
}

function orNull(value: number): number | null {
  return Number.isNaN(value) ? null : value
}
