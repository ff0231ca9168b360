import { vllmExtensions } from '../../inference/index.ts'
import type { Dialect } from '../dialect.ts'
import { meanOf, namedMetrics, sumOf } from '../metrics-text.ts'
import { commonExtras, refuse } from './extras.ts'

const ownMetrics = [
  'num_running_reqs',
  'num_queue_reqs',
  'token_usage',
  'prompt_tokens_total',
  'cached_tokens_total',
  'num_retracted_reqs_total',
  'num_retractions_total',
].flatMap((name) => [`sglang:${name}`, `sglang_${name}`])
const loadMetrics = [...ownMetrics, 'process_start_time_seconds']

/** SGLang. Its metrics' prefix is `sglang:`, in some releases `sglang_`: both are read. */
export const sglang: Dialect = {
  kind: 'sglang',
  paths: {
    chat: '/v1/chat/completions',
    completion: '/v1/completions',
    embedding: '/v1/embeddings',
    rerank: '/v1/rerank',
    tokenize: '/v1/tokenize',
    detokenize: '/v1/detokenize',
  },
  healthPath: '/health',
  // It generates a token for each health check unless told otherwise at its start.
  healthIntervalMs: 10_000,
  listsAll: true,
  metricsPaths: [namedMetrics('/metrics', loadMetrics), '/metrics'],
  readLoad(page) {
    const running = sumOf(page, 'sglang:num_running_reqs', 'sglang_num_running_reqs')
    if (running === undefined) return undefined
    const queries = sumOf(page, 'sglang:prompt_tokens_total', 'sglang_prompt_tokens_total')
    const hits = sumOf(page, 'sglang:cached_tokens_total', 'sglang_cached_tokens_total')
    return {
      startedAt: sumOf(page, 'process_start_time_seconds'),
      running,
      waiting: sumOf(page, 'sglang:num_queue_reqs', 'sglang_num_queue_reqs'),
      kvCacheUsage: meanOf(page, 'sglang:token_usage', 'sglang_token_usage'),
      prefixCache: queries === undefined || hits === undefined ? undefined : { queries, hits },
      preemptions: sumOf(page, 'sglang:num_retracted_reqs_total', 'sglang:num_retractions_total'),
    }
  },
  continuation: { continue_final_message: true },
  continuousUsage: false,
  priorityOrder: 'higherFirst',
  extensions: vllmExtensions,
  extras: (request) => ({
    ...commonExtras(request),
    ...(request.sampling.repetitionPenalty === 1 ? {} : { repetition_penalty: request.sampling.repetitionPenalty }),
    ...(request.promptLogprobs === undefined ? {} : refuse('SGLang', 'prompt_logprobs')),
    ...(request.constraint?.kind === 'grammar' ? { ebnf: request.constraint.grammar } : {}),
  }),
  parts: ['image'],
  reasoningFields: ['reasoning_content'],
  maxTokensField: 'max_tokens',
  tokenizer: {
    tokenizeText: (model, prompt, addSpecialTokens) => ({ model, prompt, add_special_tokens: addSpecialTokens }),
    detokenize: (model, tokens) => ({ model, tokens }),
    textField: 'text',
    chat: 'messages',
  },
}
