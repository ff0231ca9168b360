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
  const totalTokens = count(usage.total_tokens)
  if (promptTokens === undefined && completionTokens === undefined && totalTokens === undefined) return undefined
  // SGLang puts it beside the counts, everybody else into the details.
  const reasoningTokens = count(usage.completion_tokens_details?.reasoning_tokens) ?? count(usage.reasoning_tokens)
  // Some providers leave thinking out of the completion, and the total shows it.
  const missesReasoning =
    promptTokens !== undefined &&
    completionTokens !== undefined &&
    reasoningTokens !== undefined &&
    reasoningTokens > 0 &&
    totalTokens === promptTokens + completionTokens + reasoningTokens
  return {
    // Embeddings and rerank of some engines give the total alone: it is all prompt.
    promptTokens: promptTokens ?? Math.max(0, (totalTokens ?? 0) - (completionTokens ?? 0)),
    cachedTokens: count(usage.prompt_tokens_details?.cached_tokens),
    completionTokens: missesReasoning ? completionTokens + reasoningTokens : (completionTokens ?? 0),
    reasoningTokens,
  }
}

function count(value: unknown): number | undefined {
  return typeof value === 'number' && Number.isFinite(value) && value >= 0 ? Math.round(value) : undefined
}
