import type { GenerationRequest } from './request.ts'

/** Fields of a request that not every engine knows, and vLLM's names for them, which clients use. See Engine.extensions. */
export const extensionNames = { minTokens: 'min_tokens', stopTokens: 'stop_token_ids' } as const

export type RequestExtension = keyof typeof extensionNames

/** For engines that know all of them. */
export const allExtensions: ReadonlySet<RequestExtension> = new Set(Object.keys(extensionNames) as RequestExtension[])

/** Those that the request sets. */
export function extensionsOf(request: Pick<GenerationRequest, RequestExtension>): readonly RequestExtension[] {
  return [...allExtensions].filter((field) => request[field] !== undefined)
}
