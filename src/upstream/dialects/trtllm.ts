import { vllmExtensions } from '../../inference/index.ts'
import type { Dialect, EngineLoad } from '../dialect.ts'
import { meanOf, sumOf } from '../metrics-text.ts'
import { commonExtras, refuse } from './extras.ts'

/** trtllm-serve. Prometheus only with `return_perf_metrics`; `/metrics` is JSON: statistics of the last iterations. */
export const trtllm: Dialect = {
  kind: 'trtllm',
  paths: { chat: '/v1/chat/completions', completion: '/v1/completions' },
  healthPath: '/health',
  metricsPaths: ['/prometheus/metrics', '/metrics'],
  readLoad: (page) => (page[0] === 0x5b ? readIterations(page) : readPage(page)),
  continuation: undefined,
  continuousUsage: false,
  priorityOrder: undefined,
  extensions: vllmExtensions,
  extras: (request) => ({
    ...commonExtras(request),
    ...(request.sampling.repetitionPenalty === 1 ? {} : { repetition_penalty: request.sampling.repetitionPenalty }),
    ...(request.promptLogprobs === undefined ? {} : refuse('trtllm-serve', 'prompt_logprobs')),
    ...(request.constraint?.kind === 'grammar'
      ? { response_format: { type: 'ebnf', ebnf: request.constraint.grammar } }
      : {}),
  }),
  parts: ['image'],
  reasoningFields: ['reasoning_content'],
  maxTokensField: 'max_tokens',
  tokenizer: undefined,
}

function readPage(page: Buffer): EngineLoad | undefined {
  const running = sumOf(page, 'trtllm_num_requests_running')
  if (running === undefined) return undefined
  return {
    running,
    waiting: sumOf(page, 'trtllm_num_requests_waiting'),
    kvCacheUsage: meanOf(page, 'trtllm_kv_cache_utilization'),
    prefixCache: undefined,
    preemptions: undefined,
  }
}

function readIterations(page: Buffer): EngineLoad | undefined {
  let iterations: unknown
  try {
    iterations = JSON.parse(page.toString())
  } catch {
    return undefined
  }
  const last: unknown = Array.isArray(iterations) ? iterations.at(-1) : undefined
  if (typeof last !== 'object' || last === null) return undefined
  const stats = last as {
    numActiveRequests?: number
    numQueuedRequests?: number
    kvCacheStats?: { maxNumBlocks?: number; usedNumBlocks?: number }
  }
  const { maxNumBlocks, usedNumBlocks } = stats.kvCacheStats ?? {}
  return {
    running: stats.numActiveRequests,
    waiting: stats.numQueuedRequests,
    kvCacheUsage: maxNumBlocks === undefined || usedNumBlocks === undefined ? undefined : usedNumBlocks / maxNumBlocks,
    prefixCache: undefined,
    preemptions: undefined,
  }
}
