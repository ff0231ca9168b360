import { parseDurationMs, TokenmillError } from '../core/index.ts'
import { linearStepModel, type SimulatedEngineSettings } from '../simulation/index.ts'
import { parseDistribution, type Distribution } from '../workload/index.ts'
import { parseFault, type Fault } from './faults.ts'
import type { MockOptions } from './options.ts'

/** What the mock needs to run, read from text once. */
export interface MockSettings {
  readonly host: string
  readonly port: number
  readonly apiKey: string | undefined
  readonly seed: number
  readonly engine: SimulatedEngineSettings
  /** Tokens of an answer; undefined: as many as the request allows, or `defaultOutputTokens`. */
  readonly outputTokens: Distribution | undefined
  readonly defaultOutputTokens: number
  /** Whether a chat stream opens with an event that carries the role and no text. */
  readonly roleChunk: boolean
  readonly faults: readonly Fault[]
  /** Requests accepted per second before 429; Infinity: no limit. */
  readonly requestsPerSecond: number
  /** Requests that wait beyond those that run; one more gets 429. */
  readonly maxQueue: number
  readonly maxBodyBytes: number
  readonly maxRecords: number
}

/** The settings for a table of option values. Throws `invalid_request` with the option's name. */
export function toMockSettings(options: MockOptions): MockSettings {
  return {
    host: options.host,
    port: options.port,
    apiKey: options.apiKey,
    seed: options.seed,
    engine: {
      name: 'mock',
      models: options.model,
      seed: options.seed,
      contextTokens: options.contextTokens,
      tokensPerEvent: parseDistribution(options.tokensPerChunk),
      embeddingDimensions: options.embeddingDimensions,
      timing: toTiming(options),
    },
    outputTokens: options.outputTokens === undefined ? undefined : parseDistribution(options.outputTokens),
    defaultOutputTokens: 128,
    roleChunk: options.roleChunk,
    faults: options.fault.map((text) => parseFault(text)),
    requestsPerSecond: options.requestsPerSecond ?? Infinity,
    maxQueue: options.maxQueue,
    maxBodyBytes: options.maxBodyBytes,
    maxRecords: options.maxRecords,
  }
}

function toTiming(options: MockOptions): SimulatedEngineSettings['timing'] {
  const { maxRunning, cacheBlockTokens: blockTokens, cacheBlocks: cachedBlocks } = options
  if (options.steps === undefined) {
    const ttftMs = parseDistribution(options.ttft, parseDurationMs)
    const itlMs = parseDistribution(options.itl, parseDurationMs)
    return { kind: 'independent', ttftMs, itlMs, maxRunning, blockTokens, cachedBlocks }
  }
  const { prefillChunkTokens, ...times } = parseSteps(options.steps)
  const blocks = Math.ceil(options.kvTokens / blockTokens)
  return {
    kind: 'steps',
    model: linearStepModel(times),
    prefillTokensPerStep: prefillChunkTokens,
    maxRunning,
    kv: { blockTokens, blocks, cachedBlocks },
  }
}

interface StepTimes {
  readonly baseMs: number
  readonly perSequenceMs: number
  readonly perPrefillTokenMs: number
  readonly perThousandContextMs: number
  readonly prefillChunkTokens: number
}

const stepKeys: Readonly<Record<string, keyof StepTimes>> = {
  base: 'baseMs',
  seq: 'perSequenceMs',
  prefill: 'perPrefillTokenMs',
  context: 'perThousandContextMs',
  chunk: 'prefillChunkTokens',
}

/** Reads `base=5ms,seq=0.05ms,prefill=0.02ms,context=0.01ms,chunk=2048`; what is left out is 0, the chunk 2,048. */
function parseSteps(text: string): StepTimes {
  const times: Record<keyof StepTimes, number> = {
    baseMs: 0,
    perSequenceMs: 0,
    perPrefillTokenMs: 0,
    perThousandContextMs: 0,
    prefillChunkTokens: 2048,
  }
  for (const part of text.split(',').filter((each) => each !== '')) {
    const [name = '', value = ''] = part.split('=').map((each) => each.trim())
    const key = stepKeys[name]
    const number = parseDurationMs(value)
    if (key === undefined || number === undefined) {
      throw new TokenmillError(
        'invalid_request',
        `Step model '${text}' has '${part}'; write base=5ms,seq=0.05ms,prefill=0.02ms,context=0.01ms,chunk=2048.`,
      )
    }
    times[key] = number
  }
  if (times.baseMs <= 0 || times.prefillChunkTokens < 1)
    throw new TokenmillError('invalid_request', `Step model '${text}' needs base above 0 and chunk of at least 1.`)
  return times
}
