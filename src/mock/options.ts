import { z } from 'zod'
import { defineOptions, parseBytes, type OptionValues } from '../core/index.ts'

const count = z.coerce.number().int().positive()
const natural = z.coerce.number().int().nonnegative()
const bytes = z.string().transform((text, context) => {
  const value = parseBytes(text)
  if (value === undefined) context.addIssue({ code: 'custom', message: `'${text}' is no size; write 32MiB or 1000` })
  return value ?? 0
})
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
})

export type MockOptions = OptionValues<typeof mockOptions>
