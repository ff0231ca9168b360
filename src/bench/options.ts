import { z } from 'zod'
import { defineOptions, parseBytes, parseDurationMs, type OptionValues } from '../core/index.ts'

const count = z.coerce.number().int().positive()
const natural = z.coerce.number().int().nonnegative()
const bytes = z.string().transform((text, context) => {
  const value = parseBytes(text)
  if (value === undefined) context.addIssue({ code: 'custom', message: `'${text}' is no size; write 32MiB or 1000` })
  return value ?? 0
})
const duration = z.string().transform((text, context) => {
  const value = parseDurationMs(text)
  if (value === undefined) context.addIssue({ code: 'custom', message: `'${text}' is no time; write 500ms, 30s or 2m` })
  return value ?? 0
})
const share = z.coerce.number().min(0).max(1)
const dollars = z.coerce.number().nonnegative().optional()
const port = z.coerce.number().int().min(0).max(65_535)

/** Options of the mock server (`tokenmill mock`). */
export const mockOptions = defineOptions({
  host: { schema: z.string(), default: '127.0.0.1', value: '<address>', help: 'Address to listen on' },
  port: { schema: port, default: 8090, value: '<number>', help: 'Port to listen on; 0 picks a free one' },
  model: {
    schema: z.string(),
    default: ['mock'] as readonly string[],
    value: '<name>',
    help: 'Model name to serve',
    repeatable: true,
  },
  seed: { schema: natural, default: 1, value: '<number>', help: 'Equal seeds give equal draws, request by request' },
  apiKey: { schema: z.string().optional(), value: '<key>', help: 'Answer 401 to any other key', secret: true },
  ttft: {
    schema: z.string(),
    default: 'lognormal:80ms,0.3',
    value: '<distribution>',
    help: 'Time to first token: 80ms, normal:80ms,10ms, lognormal:80ms,0.3, gamma:80ms,0.5, uniform:…, exponential:…',
  },
  itl: {
    schema: z.string(),
    default: 'normal:15ms,2ms',
    value: '<distribution>',
    help: 'Gap between tokens, written as --ttft',
  },
  steps: {
    schema: z.string().optional(),
    value: '<model>',
    help: 'Batching step model instead of --ttft and --itl: base=5ms,seq=0.05ms,prefill=0.02ms,context=0.01ms,chunk=2048',
  },
  maxRunning: {
    schema: count,
    default: 4096,
    value: '<requests>',
    help: 'Requests that run at once; more wait in line',
    reason: 'above any load that one process can serve',
  },
  maxQueue: {
    schema: natural,
    default: 4096,
    value: '<requests>',
    help: 'Requests that may wait; beyond it 429',
    reason: 'bounds memory',
  },
  kvTokens: {
    schema: count,
    default: 1_000_000,
    value: '<tokens>',
    help: 'KV cells of the step model; beyond it the newest request is preempted',
    reason: 'about one 8B model on one 80 GB GPU',
  },
  outputTokens: {
    schema: z.string().optional(),
    value: '<distribution>',
    help: 'Tokens of an answer unless ignore_eos is set; by default max_tokens, or 128',
  },
  tokensPerChunk: {
    schema: z.string(),
    default: '1',
    value: '<distribution>',
    help: 'Tokens in one event, as servers with speculative decoding send',
  },
  roleChunk: {
    schema: z.boolean(),
    default: true,
    help: 'Streams open with the first token, without an event for the role',
  },
  contextTokens: { schema: count, default: 131_072, value: '<tokens>', help: 'Longest prompt and answer together' },
  fault: {
    schema: z.string(),
    default: [] as readonly string[],
    value: '<kind:share>',
    help: 'Share of requests with a fault: error, unavailable, rateLimit, html, malformed, errorEvent, disconnect, truncate, stall:0.01:2s, hang, silent, refuse, empty, noUsage, wrongUsage, noStream',
    repeatable: true,
  },
  requestsPerSecond: {
    schema: z.coerce.number().positive().optional(),
    value: '<rate>',
    help: 'Rate limit; beyond it 429 with Retry-After',
  },
  cacheBlockTokens: { schema: count, default: 16, value: '<tokens>', help: 'Block size of the prefix cache' },
  cacheBlocks: {
    schema: natural,
    default: 65_536,
    value: '<blocks>',
    help: 'Blocks that the prefix cache keeps; 0 turns it off',
    reason: 'a million tokens, about 10 MB of hashes',
  },
  embeddingDimensions: { schema: count, default: 384, value: '<number>', help: 'Length of embedding vectors' },
  maxBodyBytes: { schema: bytes, default: 64 * 1024 ** 2, value: '<size>', help: 'Largest request body' },
  maxRecords: {
    schema: natural,
    default: 10_000,
    value: '<requests>',
    help: 'Finished requests whose write times are kept for GET /mock/records; the oldest leave first',
    reason: '100 tokens each take about 10 MB',
  },
  maxUnsentBytes: {
    schema: bytes,
    default: 4 * 1024 ** 2,
    unit: 'bytes',
    value: '<size>',
    help: 'Bytes waiting for a slow reader before its connection is closed',
  },
})

export type MockOptions = OptionValues<typeof mockOptions>

/** Options of the load generator (`tokenmill bench`). */
export const benchOptions = defineOptions({
  model: { schema: z.string().optional(), value: '<name>', help: 'Model to ask; by default the only one served' },
  modelB: { schema: z.string().optional(), value: '<name>', help: 'Model of the second endpoint of --compare' },
  api: {
    schema: z.enum(['chat', 'completion', 'embedding']),
    default: 'chat' as const,
    value: '<name>',
    choices: ['chat', 'completion', 'embedding'],
    help: 'API to measure',
  },
  apiKey: { schema: z.string().optional(), value: '<key>', help: 'Sent as Authorization: Bearer', secret: true },
  header: {
    schema: z.string(),
    default: [] as readonly string[],
    value: '<name: value>',
    help: 'Header sent with every request',
    repeatable: true,
  },
  extraBody: { schema: z.string().optional(), value: '<json>', help: 'Fields merged into every request, over ours' },
  stream: { schema: z.boolean(), default: true, help: 'Ask for answers in one piece instead of a stream' },
  ignoreEos: {
    schema: z.boolean(),
    default: true,
    help: 'Let answers end by themselves instead of asking for exactly --output tokens',
  },
  maxTokensField: {
    schema: z.string().regex(/^\w+$/, 'is no name of a field').optional(),
    value: '<name>',
    help: 'Field that limits an answer (default: max_tokens, or max_completion_tokens where that is refused)',
  },

  concurrency: {
    schema: z.string(),
    default: [] as readonly string[],
    value: '<users>',
    help: 'Closed loop: users who each wait for their answer; 64, or stages 1..64:60s (default 8)',
    repeatable: true,
  },
  rate: {
    schema: z.string(),
    default: [] as readonly string[],
    value: '<requests/s>',
    help: 'Open loop: arrivals whatever the server does; 5, or stages 5:30s, 5..20:60s',
    repeatable: true,
  },
  arrivals: {
    schema: z.enum(['poisson', 'constant', 'gamma']),
    default: 'poisson' as const,
    value: '<process>',
    choices: ['poisson', 'constant', 'gamma'],
    help: 'Gaps of an open loop',
  },
  burstiness: {
    schema: z.coerce.number().positive(),
    default: 1,
    value: '<shape>',
    help: 'Shape of gamma gaps: 1 is Poisson, below it burstier; CV = 1/√shape',
  },
  maxConcurrency: {
    schema: count.optional(),
    value: '<requests>',
    help: 'Open loop: at most so many at once; the wait of the others counts as latency',
  },
  trace: {
    schema: z.string().optional(),
    value: '<file>',
    help: 'Replay a trace: Mooncake or other JSONL, Azure or BurstGPT CSV',
  },
  speed: { schema: z.coerce.number().positive(), default: 1, value: '<factor>', help: 'Replay so many times faster' },
  dither: {
    schema: z.boolean(),
    default: true,
    help: 'Keep requests of a trace that share a rounded time stamp together',
  },
  think: {
    schema: z.string(),
    default: '0ms',
    value: '<distribution>',
    help: 'Closed loop: pause between requests of a user',
  },
  stagger: {
    schema: duration.optional(),
    value: '<time>',
    help: 'Closed loop: users begin spread over this time (default 10ms a user, at most 5s)',
  },
  turns: {
    schema: count,
    default: 1,
    value: '<number>',
    help: 'Requests in a conversation, each carrying the real answers before it',
  },
  turnPause: { schema: z.string(), default: '0ms', value: '<distribution>', help: 'Pause before the next turn' },

  prompt: {
    schema: z.string(),
    default: '256',
    value: '<distribution>',
    help: 'Prompt tokens: 512, uniform:100,900, normal:512,64, lognormal:512,0.8, gamma:512,1, exponential:512, choice:128,512',
  },
  output: { schema: z.string(), default: '128', value: '<distribution>', help: 'Output tokens, written as --prompt' },
  sharedPrefix: {
    schema: share,
    default: 0,
    value: '<share>',
    help: 'Part of each prompt that is a shared prefix, 0 to 1',
  },
  sharedPrefixes: { schema: count, default: 1, value: '<number>', help: 'Different shared prefixes' },
  tokenizer: {
    schema: z.string().optional(),
    value: '<file>',
    help: 'tokenizer.json (or its folder) to make exact lengths with',
  },
  class: {
    schema: z.string(),
    default: [] as readonly string[],
    value: '<name:limits>',
    help: 'Request class: chat:ttft=300ms,tpot=30ms,stall=1s,e2e=20s,share=0.6,prompt=512,output=128',
    repeatable: true,
  },
  slo: {
    schema: z.string().optional(),
    value: '<limits>',
    help: 'Objectives where there are no classes: ttft=300ms,tpot=30ms',
  },
  attainment: {
    schema: share,
    default: 0.9,
    value: '<share>',
    help: 'Part of every class that must meet its objectives',
  },

  requests: { schema: count.optional(), value: '<number>', help: 'Requests to send' },
  duration: {
    schema: duration.optional(),
    value: '<time>',
    help: 'Time to offer load for (default 30s without --requests)',
  },
  warmup: {
    schema: z.string().optional(),
    value: '<time|requests>',
    help: 'Excluded at the start: 10s, or 64 requests, or 0 (default: one request a user; a tenth of the time of an open loop)',
  },
  drain: {
    schema: duration,
    default: 60_000,
    unit: 'ms',
    value: '<time>',
    help: 'Wait for running answers at the end',
    reason: 'longer than most answers, shorter than patience',
  },
  readyTimeout: {
    schema: duration.optional(),
    value: '<time>',
    help: 'Wait so long for a server that is still loading (503) or not listening yet; 0 gives up at once (default: 2 minutes after a 503, none without a listener)',
  },
  timeout: {
    schema: duration,
    default: 600_000,
    unit: 'ms',
    value: '<time>',
    help: 'Longest time for one answer',
    reason: 'the official SDKs wait 10 minutes',
  },
  repeats: {
    schema: count,
    default: 1,
    value: '<number>',
    help: 'Repeat everything with new seeds; from 3 on, intervals are given',
  },
  seed: {
    schema: natural.optional(),
    value: '<number>',
    help: 'Equal seeds send equal requests at equal times (default: lengths and times of seed 1, new texts in every run)',
  },
  label: {
    schema: z.string(),
    default: [] as readonly string[],
    value: '<name>',
    help: 'Name of an endpoint of --compare in reports, in the order of the URLs (default: A and B)',
    repeatable: true,
  },
  workers: {
    schema: count.optional(),
    value: '<threads>',
    help: 'Load threads (default: one per 512 users, at most one less than the cores)',
  },

  sweep: {
    schema: z.string().optional(),
    value: '<loads>',
    help: 'Measure each load: concurrency=1,2,4,8 or rate=1,2,4',
  },
  findGoodput: {
    schema: z.boolean(),
    default: false,
    help: 'Search the highest rate at which every class keeps its objectives',
  },
  startRate: {
    schema: z.coerce.number().positive(),
    default: 1,
    value: '<requests/s>',
    help: 'First rate of --find-goodput',
  },
  precision: {
    schema: z.coerce.number().min(0.005).max(0.5),
    default: 0.03,
    value: '<share>',
    help: 'Of --find-goodput: when the bounds are so close, it ends',
  },
  compare: {
    schema: z.boolean(),
    default: false,
    help: 'Interleave two endpoints, A B B A, and give ratios with intervals',
  },

  json: { schema: z.string().optional(), value: '<file>', help: 'Write everything as JSON; - for standard output' },
  raw: { schema: z.string().optional(), value: '<file>', help: 'Write every request as JSONL' },
  html: { schema: z.string().optional(), value: '<file>', help: 'Write an offline report with plots' },
  quiet: { schema: z.boolean(), default: false, help: 'No live view' },
  metrics: {
    schema: z.string().optional(),
    value: '<url>',
    help: 'Server metrics to scrape beside (default: /metrics of the host; none: off)',
  },
  energy: {
    schema: z.string().optional(),
    value: '<meter>',
    help: 'none, nvidia, rapl, dcgm=URL or watts=350 (default: nvidia and rapl where the host is this machine)',
  },
  usdPerHour: { schema: dollars, value: '<usd>', help: 'Price of the machines an hour' },
  usdPerMtokInput: { schema: dollars, value: '<usd>', help: 'Price of a million prompt tokens' },
  usdPerMtokOutput: { schema: dollars, value: '<usd>', help: 'Price of a million output tokens' },

  maxSendLag: {
    schema: duration,
    default: 10,
    unit: 'ms',
    value: '<time>',
    help: 'p99 above which the run is invalid',
    reason: 'below a tenth of common TTFT objectives',
  },
  maxReceiveLag: {
    schema: duration,
    default: 10,
    unit: 'ms',
    value: '<time>',
    help: 'p99 above which the run is invalid',
    reason: 'below half of common TPOT objectives',
  },
  maxInFlight: {
    schema: count,
    default: 10_000,
    value: '<requests>',
    help: 'Requests at once; beyond it they are not sent and the run is invalid',
    reason: 'file descriptors and ports of one machine',
  },
  maxEventBytes: {
    schema: bytes,
    default: 4 * 1024 ** 2,
    unit: 'bytes',
    value: '<size>',
    help: 'Largest server-sent event',
    reason: 'an event with tool calls or logprobs stays far below',
  },
  maxFailuresInRow: {
    schema: count.optional(),
    value: '<requests>',
    help: 'Give up after so many failures without a success (default: 3 per user, at least 100)',
  },
  failurePause: {
    schema: duration,
    default: 100,
    unit: 'ms',
    value: '<time>',
    help: 'Closed loop: pause of a user after a failure',
    reason: 'a server that fails at once is not asked as fast as it can fail',
  },
})

export type BenchOptions = OptionValues<typeof benchOptions>
