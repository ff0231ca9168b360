import type { TokenUsage } from '../../inference/index.ts'

/** The `usage` object of an OpenAI-compatible answer; undefined where it is none. */
export function readUsage(value: unknown): TokenUsage | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  const usage = value as {
    prompt_tokens?: unknown
    completion_tokens?: unknown
    total_tokens?: unknown
    prompt_tokens_details?: { cached_tokens?: unknown } | null
    completion_tokens_details?: { reasoning_tokens?: unknown } | null
    reasoning_tokens?: unknown
  }
  const promptTokens = count(usage.prompt_tokens)
  const completionTokens = count(usage.completion_tokens)
  if (promptTokens === undefined && completionTokens === undefined && count(usage.total_tokens) === undefined) {
    return undefined
  }
  return {
    // Embeddings and rerank of some engines give the total alone: it is all prompt.
    promptTokens: promptTokens ?? Math.max(0, (count(usage.total_tokens) ?? 0) - (completionTokens ?? 0)),
    cachedTokens: count(usage.prompt_tokens_details?.cached_tokens),
    completionTokens: completionTokens ?? 0,
    // SGLang puts it beside the counts, everybody else into the details.
    reasoningTokens: count(usage.completion_tokens_details?.reasoning_tokens) ?? count(usage.reasoning_tokens),
  }
}

function count(value: unknown): number | undefined {
  return typeof value === 'number' && Number.isFinite(value) && value >= 0 ? Math.round(value) : undefined
}
