import { TokenmillError } from '../../core/index.ts'
import type { GenerationRequest } from '../../inference/index.ts'
import { noLoad, type Dialect } from '../dialect.ts'
import { noExtensions } from './extras.ts'

/** OpenAI itself, and whoever offers no more than its API: hosted providers. Extras are refused here, not dropped there. */
export const openai: Dialect = {
  kind: 'openai',
  paths: { chat: '/v1/chat/completions', completion: '/v1/completions', embedding: '/v1/embeddings' },
  healthPath: undefined,
  metricsPaths: [],
  readLoad: () => noLoad,
  continuation: undefined,
  continuousUsage: false,
  priorityOrder: undefined,
  extensions: noExtensions,
  extras(request) {
    const refused = beyondOpenAi(request)
    if (refused !== undefined) {
      const message = `A provider with OpenAI's API does not know '${refused}'. Leave it out, or serve the model by an engine that does.`
      throw new TokenmillError('unsupported', message, { param: refused })
    }
    return request.affinityKey === undefined ? {} : { prompt_cache_key: request.affinityKey }
  },
  parts: ['image', 'audio', 'file'],
  reasoningFields: [],
  maxTokensField: 'max_completion_tokens',
  tokenizer: undefined,
}

function beyondOpenAi(request: GenerationRequest): string | undefined {
  const { sampling } = request
  if (sampling.topK !== 0) return 'top_k'
  if (sampling.minP !== 0) return 'min_p'
  if (sampling.repetitionPenalty !== 1) return 'repetition_penalty'
  if (request.ignoreEos) return 'ignore_eos'
  if (request.promptLogprobs !== undefined) return 'prompt_logprobs'
  if (request.constraint?.kind === 'grammar') return 'grammar'
  if (request.input.kind === 'chat' && Object.keys(request.input.chat.templateVariables).length > 0) {
    return 'chat_template_kwargs'
  }
  return undefined
}
