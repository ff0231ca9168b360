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
