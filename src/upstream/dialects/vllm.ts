import { vllmExtensions } from '../../inference/index.ts'
import type { Dialect } from '../dialect.ts'
import { meanOf, namedMetrics, sumOf } from '../metrics-text.ts'
import { commonExtras } from './extras.ts'

const loadMetrics = [
  'process_start_time_seconds',
  'vllm:num_requests_running',
  'vllm:num_requests_waiting',
  'vllm:kv_cache_usage_perc',
  'vllm:gpu_cache_usage_perc',
  'vllm:prefix_cache_queries_total',
  'vllm:prefix_cache_hits_total',
  'vllm:gpu_prefix_cache_queries_total',
  'vllm:gpu_prefix_cache_hits_total',
  'vllm:num_preemptions_total',
]

/** vLLM (docs/serving/online_serving). `/invocations`, `/pooling`, `/score` stand open there whatever the key: never asked. */
export const vllm: Dialect = {
  kind: 'vllm',
  paths: {
    chat: '/v1/chat/completions',
    completion: '/v1/completions',
    embedding: '/v1/embeddings',
    rerank: '/v1/rerank',
    tokenize: '/tokenize',
    detokenize: '/detokenize',
  },
  healthPath: '/health',
  listsAll: true,
  metricsPaths: [namedMetrics('/metrics', loadMetrics), '/metrics'],
  readLoad(page) {
    const running = sumOf(page, 'vllm:num_requests_running')
    if (running === undefined) return undefined
    const queries = sumOf(page, 'vllm:prefix_cache_queries_total', 'vllm:gpu_prefix_cache_queries_total')
    const hits = sumOf(page, 'vllm:prefix_cache_hits_total', 'vllm:gpu_prefix_cache_hits_total')
    return {
      startedAt: sumOf(page, 'process_start_time_seconds'),
      running,
      waiting: sumOf(page, 'vllm:num_requests_waiting'),
      kvCacheUsage: meanOf(page, 'vllm:kv_cache_usage_perc', 'vllm:gpu_cache_usage_perc'),
      prefixCache: queries === undefined || hits === undefined ? undefined : { queries, hits },
      preemptions: sumOf(page, 'vllm:num_preemptions_total'),
    }
  },
  continuation: { continue_final_message: true, add_generation_prompt: false },
  continuousUsage: true,
  priorityOrder: 'lowerFirst',
  extensions: new Set([...vllmExtensions, 'truncatePromptTokens']),
  extras: (request) => ({
    ...commonExtras(request),
    ...(request.sampling.repetitionPenalty === 1 ? {} : { repetition_penalty: request.sampling.repetitionPenalty }),
    ...(request.promptLogprobs === undefined ? {} : { prompt_logprobs: request.promptLogprobs }),
    ...(request.constraint?.kind === 'grammar' ? { structured_outputs: { grammar: request.constraint.grammar } } : {}),
  }),
  parts: ['image', 'audio'],
  // `reasoning` since vllm#33402; older ones read `reasoning_content`.
  reasoningFields: ['reasoning', 'reasoning_content'],
  maxTokensField: 'max_tokens',
  tokenizer: {
    tokenizeText: (model, prompt, addSpecialTokens) => ({ model, prompt, add_special_tokens: addSpecialTokens }),
    detokenize: (model, tokens) => ({ model, tokens }),
    textField: 'prompt',
    chat: 'messages',
  },
}
