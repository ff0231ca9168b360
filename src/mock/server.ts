import { createMachineClock, defaultValues, type Clock } from '../core/index.ts'
import type { UsageRecord } from '../inference/index.ts'
import { protocolOptions } from '../protocol/options.ts'
import { schedulerOptions } from '../scheduler/options.ts'
import { startServer, type ServerSettings } from '../server/index.ts'
import { serverOptions } from '../server/options.ts'
import { SimulatedEngine } from '../simulation/index.ts'
import { telemetryOptions } from '../telemetry/options.ts'
import type { Fault } from './faults.ts'
import { MockFront } from './front.ts'
import { MockEngine } from './mock-engine.ts'
import type { MockRecord } from './records.ts'
import type { MockSettings } from './settings.ts'

/** A running mock. Close it, or its port stays taken. */
export interface MockServer {
  /** Base URL ending in `/v1`. */
  readonly url: string
  /** Finished and running requests, oldest first, at most `maxRecords`. */
  records(): readonly MockRecord[]
  totals(): Readonly<MockTotals>
  /** From now on, requests suffer these faults. */
  setFaults(faults: readonly Fault[]): void
  /** Cuts every connection and stops listening. */
  close(): Promise<void>
}

/** Since the mock started, and what holds now. */
export interface MockTotals {
  /** Completed. */
  readonly requests: number
  readonly promptTokens: number
  readonly cachedTokens: number
  readonly generatedTokens: number
  readonly running: number
}

/**
 * Starts the real server over a simulated engine whose times follow a stated model. The n-th request since the start gets the
 * same length, times and fault under the same seed, whatever runs beside it. A request may ask for a fault itself:
 * header `x-mock-fault: stall:1:2s`.
 */
export async function startMock(settings: MockSettings, clock: Clock = createMachineClock()): Promise<MockServer> {
  const front = new MockFront(settings, clock)
  const simulated = new SimulatedEngine(settings.engine, clock)
  const engine = new MockEngine(simulated, { settings, clock, runOf: front.runOf })
  const totals = { requests: 0, promptTokens: 0, cachedTokens: 0, generatedTokens: 0 }
  const server = await startServer(toServerSettings(settings), {
    engines: [{ engine, names: settings.engine.models }],
    logTarget: { write: () => true },
    clock,
    intercept: front.intercept,
    sinks: [(record) => count(totals, record)],
  })
  front.url = server.url
  await server.ready
  return {
    url: `${server.url}/v1`,
    records: () => front.log.all(),
    totals: () => ({ ...totals, running: simulated.status().running }),
    setFaults: (faults) => {
      front.faults = faults
    },
    close: async () => {
      front.cut()
      await server.close(AbortSignal.abort())
    },
  }
}

/** Silence is the latency model's own: the server adds no comments to it, and waits for its clients as long as they wait. */
function toServerSettings({ host, port, apiKey, maxQueue, maxBodyBytes }: MockSettings): ServerSettings {
  return {
    ...defaultValues(serverOptions),
    ...defaultValues(schedulerOptions),
    ...defaultValues(protocolOptions),
    ...defaultValues(telemetryOptions),
    logLevel: 'silent',
    host,
    port,
    apiKey: apiKey === undefined ? [] : [apiKey],
    insecure: true,
    maxQueue,
    maxBodyBytes,
    maxQueueWaitMs: dayMs,
    headerFlushMs: dayMs,
    pingIntervalMs: dayMs,
  }
}

const dayMs = 24 * 3600 * 1000

function count(totals: { -readonly [Key in keyof Omit<MockTotals, 'running'>]: number }, record: UsageRecord): void {
  if (record.outcome === 'completed') totals.requests += 1
  totals.promptTokens += record.promptTokens
  totals.cachedTokens += record.cachedTokens ?? 0
  totals.generatedTokens += record.completionTokens
}
