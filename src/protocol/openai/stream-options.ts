import type { Fields } from '../fields.ts'

export interface StreamManner {
  readonly stream: boolean
  /** A last chunk with the usage and no choices. */
  readonly includeUsage: boolean
  /** vLLM's extra: the usage so far on every chunk. */
  readonly continuousUsage: boolean
}

/** `stream` and `stream_options`, which mean nothing to an answer that does not stream. */
export function readStreamOptions(body: Fields): StreamManner {
  const stream = body.boolean('stream') ?? false
  const options = body.object('stream_options')
  if (options === undefined || !stream) return { stream, includeUsage: false, continuousUsage: false }
  const includeUsage = options.boolean('include_usage') ?? false
  return {
    stream,
    includeUsage,
    continuousUsage: includeUsage && (options.boolean('continuous_usage_stats') ?? false),
  }
}
