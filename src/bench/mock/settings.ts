import { parseDurationMs, TokenmillError } from '../../core/index.ts'
import { parseDistribution, type Distribution } from '../../workload/index.ts'
import type { MockOptions } from '../options.ts'
import { parseFault, type Fault } from './faults.ts'
import type { IndependentLatency } from './pacer.ts'
import type { StepLatency } from './step-pacer.ts'

/** What the mock needs to run, read from text once. */
export interface MockSettings {
  readonly host: string
  readonly port: number
  readonly models: readonly string[]
  readonly seed: number
  readonly apiKey: string | undefined
  readonly latency: ({ readonly kind: 'independent' } & IndependentLatency) | ({ readonly kind: 'steps' } & StepLatency)
  /** Tokens of an answer; undefined: as many as the request allows, or `defaultOutputTokens`. */
  readonly outputTokens: Distribution | undefined
  readonly defaultOutputTokens: number
  readonly tokensPerChunk: Distribution
  /** Whether the stream opens with an event that carries the role and no text. */
  readonly roleChunk: boolean
  readonly contextTokens: number
  readonly faults: readonly Fault[]
  /** Requests accepted per second before 429; Infinity: no limit. */
  readonly requestsPerSecond: number
  readonly cacheBlockTokens: number
  readonly cacheBlocks: number
  readonly embeddingDimensions: number
  readonly maxBodyBytes: number
  readonly maxRecords: number
  readonly maxUnsentBytes: number
}

/** The settings for a table of option values. Throws `invalid_request` with the option's name. */
export function toMockSettings(options: MockOptions): MockSettings {
  const queue = { maxRunning: options.maxRunning, maxQueue: options.maxQueue }
  return {
    host: options.host,
    port: options.port,
    models: options.model,
    seed: options.seed,
    apiKey: options.apiKey,
    latency:
      options.steps === undefined
        ? {
            kind: 'independent',
            ttftMs: parseDistribution(options.ttft, parseDurationMs),
            itlMs: parseDistribution(options.itl, parseDurationMs),
            ...queue,
          }
        : { kind: 'steps', ...parseSteps(options.steps), kvTokens: options.kvTokens, ...queue },
    outputTokens: options.outputTokens === undefined ? undefined : parseDistribution(options.outputTokens),
    defaultOutputTokens: 128,
    tokensPerChunk: parseDistribution(options.tokensPerChunk),
    roleChunk: options.roleChunk,
    contextTokens: options.contextTokens,
    faults: options.fault.map((text) => parseFault(text)),
    requestsPerSecond: options.requestsPerSecond ?? Infinity,
    cacheBlockTokens: options.cacheBlockTokens,
    cacheBlocks: options.cacheBlocks,
    embeddingDimensions: options.embeddingDimensions,
    maxBodyBytes: options.maxBodyBytes,
    maxRecords: options.maxRecords,
    maxUnsentBytes: options.maxUnsentBytes,
  }
}

type StepTimes = Pick<
  StepLatency,
  'baseMs' | 'perSequenceMs' | 'perPrefillTokenMs' | 'perThousandContextMs' | 'prefillChunkTokens'
>

const stepKeys: Readonly<Record<string, keyof StepTimes>> = {
  base: 'baseMs',
  seq: 'perSequenceMs',
  prefill: 'perPrefillTokenMs',
  context: 'perThousandContextMs',
  chunk: 'prefillChunkTokens',
}

/** Reads `base=5ms,seq=0.05ms,prefill=0.02ms,context=0.01ms,chunk=2048`; what is left out is 0, the chunk 2,048. */
export function parseSteps(text: string): StepTimes {
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
