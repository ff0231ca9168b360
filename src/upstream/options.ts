import { z } from 'zod'
import { defineOptions, parseDurationMs } from '../core/index.ts'

const milliseconds = z
  .union([z.number(), z.string().transform((text) => parseDurationMs(text) ?? Number.NaN)])
  .pipe(z.number({ error: 'must be a duration, such as 500ms or 30s' }).min(1).max(86_400_000))
const bytes = z.coerce.number().int().min(1024)

/** Providers whose form differs from OpenAI's. What differs stands in providers.ts. */
export const providerNames = ['azure', 'deepinfra', 'gemini', 'mistral', 'zhipu'] as const

export type ProviderName = (typeof providerNames)[number]

/** Base URLs of the providers that have one for everybody. */
export const providerUrls: Readonly<Partial<Record<ProviderName, string>>> = {
  deepinfra: 'https://api.deepinfra.com/v1/openai',
  gemini: 'https://generativelanguage.googleapis.com/v1beta/openai',
  mistral: 'https://api.mistral.ai/v1',
  zhipu: 'https://open.bigmodel.cn/api/paas/v4',
}

/** Limits and periods of everything that speaks to a remote engine. */
export const upstreamOptions = defineOptions({
  connectMs: {
    schema: milliseconds,
    default: 2_000,
    value: '<duration>',
    unit: 'ms',
    help: 'Most time to open a connection to an endpoint, TLS included',
    reason:
      'a connection within a data centre takes 1 ms, across the world 300; beyond two seconds another replica is better',
  },
  idleMs: {
    schema: milliseconds,
    default: 120_000,
    value: '<duration>',
    unit: 'ms',
    help: 'Longest silence of an endpoint within an answer',
    reason: 'a preempted sequence may wait for a minute for its KV blocks; a dead host must not hold a stream for ever',
  },
  keepAliveMs: {
    schema: milliseconds,
    default: 4_000,
    value: '<duration>',
    unit: 'ms',
    help: 'How long an idle connection to an endpoint is kept',
    reason:
      'below the five seconds after which uvicorn, the server of vLLM and SGLang, closes: no request meets a closing socket',
  },
  maxConnections: {
    schema: z.coerce.number().int().min(1).max(65_535),
    default: 2_048,
    value: '<n>',
    unit: 'connections',
    help: 'Most connections to one endpoint',
    reason: 'more requests than an engine runs at once; far below the file descriptors of a process',
  },
  probeIntervalMs: {
    schema: milliseconds,
    default: 2_000,
    value: '<duration>',
    unit: 'ms',
    help: 'Time between two health checks of an endpoint',
    reason: 'a dead replica is noticed by its own traffic first; the check is for idle ones and for coming back',
  },
  probeTimeoutMs: {
    schema: milliseconds,
    default: 5_000,
    value: '<duration>',
    unit: 'ms',
    help: 'Longest wait for the answer of a health check or a metrics page',
    reason: 'a Python server under full load answers late, not never',
  },
  unhealthyAfter: {
    schema: z.coerce.number().int().min(1).max(100),
    default: 2,
    value: '<n>',
    unit: 'checks',
    help: 'Failed checks in a row after which an endpoint gets no requests',
    reason: 'one lost packet is no outage',
  },
  scrapeIntervalMs: {
    schema: milliseconds,
    default: 1_000,
    value: '<duration>',
    unit: 'ms',
    help: "Time between two readings of an endpoint's metrics",
    reason:
      'in-flight requests are counted here at dispatch; 50 ms from many gateways is known to overload Python servers',
  },
  maxChecksPerSecond: {
    schema: z.coerce.number().min(1).max(10_000),
    default: 40,
    value: '<n>',
    unit: 'checks/s',
    help: 'Most checks of endpoints a second, all of them together',
    reason: 'a check costs about 0.2 ms: 100 endpoints stay below a hundredth of a core, each looked at every 2.5 s',
  },
  maxMetricsBytes: {
    schema: bytes,
    default: 4 * 1024 * 1024,
    value: '<bytes>',
    unit: 'bytes',
    help: 'Largest metrics page, health answer or list of models that is read',
    reason: "vLLM's page is about 100 kB; with many adapters a few times that",
  },
  maxErrorBodyBytes: {
    schema: bytes,
    default: 64 * 1024,
    value: '<bytes>',
    unit: 'bytes',
    help: 'Most that is read of the body of an error',
    reason: 'holds any stack trace; a proxy that answers with a film is cut off',
  },
  maxSseFrameBytes: {
    schema: bytes,
    default: 4 * 1024 * 1024,
    value: '<bytes>',
    unit: 'bytes',
    help: 'Largest single event of a stream',
    reason: 'prompt log-probabilities of a long prompt come in one event of a few MB',
  },
  maxAnswerBytes: {
    schema: bytes,
    default: 64 * 1024 * 1024,
    value: '<bytes>',
    unit: 'bytes',
    help: 'Largest answer that is not a stream',
    reason: '2,048 embeddings of 4,096 numbers as base64 are 45 MB',
  },
})
