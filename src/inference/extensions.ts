import type { GenerationRequest } from './request.ts'

/**
 * Fields of a request that not every engine knows, and the names that clients use for them: vLLM's, and llama-server's for
 * its samplers. See Engine.extensions.
 */
export const extensionNames = {
  minTokens: 'min_tokens',
  stopTokens: 'stop_token_ids',
  truncatePromptTokens: 'truncate_prompt_tokens',
  typicalP: 'typical_p',
  repetitionWindow: 'repeat_penalty',
  xtc: 'xtc_probability',
  dry: 'dry_multiplier',
  mirostat: 'mirostat',
} as const

export type RequestExtension = keyof typeof extensionNames

/** For engines that know all of them. */
export const allExtensions: ReadonlySet<RequestExtension> = new Set(Object.keys(extensionNames) as RequestExtension[])

/** Those that vLLM and the engines that follow it know. */
export const vllmExtensions: ReadonlySet<RequestExtension> = new Set(['minTokens', 'stopTokens'])

/** Those that the request sets. */
export function extensionsOf(request: Pick<GenerationRequest, RequestExtension>): readonly RequestExtension[] {
  return [...allExtensions].filter((field) => request[field] !== undefined)
}

/** The fields that the request sets, as clients write them. */
export function extensionFields(request: GenerationRequest): Readonly<Record<string, unknown>> {
  const { minTokens, stopTokens, truncatePromptTokens, typicalP, repetitionWindow, xtc, dry, mirostat } = request
  return {
    ...(minTokens !== undefined && { min_tokens: minTokens }),
    ...(stopTokens !== undefined && { stop_token_ids: stopTokens }),
    ...(truncatePromptTokens !== undefined && {
      truncate_prompt_tokens: truncatePromptTokens === 'context' ? -1 : truncatePromptTokens,
    }),
    ...(typicalP !== undefined && { typical_p: typicalP }),
    ...(repetitionWindow !== undefined && {
      repeat_penalty: request.sampling.repetitionPenalty,
      repeat_last_n: repetitionWindow,
    }),
    ...(xtc !== undefined && { xtc_probability: xtc.probability, xtc_threshold: xtc.threshold }),
    ...(dry !== undefined && {
      dry_multiplier: dry.multiplier,
      dry_base: dry.base,
      dry_allowed_length: dry.allowedLength,
      dry_penalty_last_n: dry.window ?? -1,
      dry_sequence_breakers: dry.breakers,
    }),
    ...(mirostat !== undefined && {
      mirostat: mirostat.version,
      mirostat_tau: mirostat.tau,
      mirostat_eta: mirostat.eta,
    }),
  }
}
