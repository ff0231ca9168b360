import type { Dialect } from '../dialect.ts'
import { sumOf } from '../metrics-text.ts'
import { commonExtras, refuse } from './extras.ts'

/** llama.cpp's own server. Answers 503 while loading; metrics only with `--metrics`; no KV gauge any more. */
export const llamaServer: Dialect = {
  kind: 'llama-server',
  paths: {
    chat: '/v1/chat/completions',
    completion: '/v1/completions',
    embedding: '/v1/embeddings',
    rerank: '/v1/rerank',
    tokenize: '/tokenize',
    detokenize: '/detokenize',
  },
  healthPath: '/health',
  metricsPaths: ['/metrics'],
  readLoad(page) {
    const running = sumOf(page, 'llamacpp:requests_processing')
    if (running === undefined) return undefined
    return {
      running,
      waiting: sumOf(page, 'llamacpp:requests_deferred'),
      kvCacheUsage: sumOf(page, 'llamacpp:kv_cache_usage_ratio'),
      prefixCache: undefined,
      preemptions: undefined,
    }
  },
  // A last message of the assistant is continued without being asked.
  continuation: {},
  continuousUsage: false,
  priorityOrder: undefined,
  extensions: new Set(['typicalP', 'repetitionWindow', 'xtc', 'dry', 'mirostat'] as const),
  extras: (request) => ({
    ...commonExtras(request),
    ...(request.sampling.repetitionPenalty === 1 ? {} : { repeat_penalty: request.sampling.repetitionPenalty }),
    ...(request.promptLogprobs === undefined ? {} : refuse('llama-server', 'prompt_logprobs')),
    ...(request.constraint?.kind === 'grammar' ? { grammar: request.constraint.grammar } : {}),
  }),
  parts: ['image', 'audio'],
  reasoningFields: ['reasoning_content'],
  maxTokensField: 'max_tokens',
  tokenizer: {
    tokenizeText: (_model, content, addSpecialTokens) => ({
      content,
      add_special: addSpecialTokens,
      parse_special: true,
    }),
    detokenize: (_model, tokens) => ({ tokens }),
    textField: 'content',
    chat: { renderPath: '/apply-template' },
  },
}
