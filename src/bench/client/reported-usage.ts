import { readUsage } from '../../protocol/index.ts'

/**
 * Generated tokens by an answer's `usage`, thinking included where the provider leaves it out and the total shows it;
 * undefined where the server does not say: unknown is never 0.
 */
export function completionTokensOf(usage: { readonly completion_tokens?: unknown }): number | undefined {
  if (typeof usage.completion_tokens !== 'number') return undefined
  return readUsage(usage)?.completionTokens
}
