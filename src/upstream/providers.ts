import type { ProviderName } from './options.ts'

/** How a provider differs from OpenAI's API, by its documentation. */
export interface Provider {
  /** Where the key goes; undefined: `authorization: Bearer`. */
  readonly keyHeader?: string
  readonly maxTokensField: 'max_tokens' | 'max_completion_tokens'
  /** Fields that it answers with an error; asked for, they are refused here by name. */
  readonly refuses: readonly string[]
}

const common = { maxTokensField: 'max_tokens', refuses: [] } as const

/** Azure: per deployment with `?api-version=`, or `/openai/v1`. The others have one address each, see `providerUrls`. */
export const providers: Readonly<Record<ProviderName, Provider>> = {
  azure: { keyHeader: 'api-key', maxTokensField: 'max_completion_tokens', refuses: [] },
  deepinfra: common,
  gemini: { ...common, refuses: ['logit_bias', 'logprobs', 'top_logprobs', 'seed', 'prompt_cache_key'] },
  mistral: { ...common, refuses: ['logit_bias', 'logprobs', 'top_logprobs', 'user', 'prompt_cache_key'] },
  zhipu: { ...common, refuses: ['logit_bias', 'logprobs', 'top_logprobs', 'n', 'seed'] },
}
