import type { ServerResponse } from 'node:http'

/** OpenAI's error body: all four keys, always. */
export function errorBody(message: string, type: string, code: string | null, param: string | null = null): string {
  return JSON.stringify({ error: { message, type, param, code } })
}

/**
 * Writes text of an answer whose head has been written. A chunked answer that owns its socket gets its chunk as one
 * string in one system call; ServerResponse.write would make four buffers of it and a writev.
 */
export function writeText(response: ServerResponse, text: string): void {
  const { socket } = response
  if (socket === null || !response.chunkedEncoding) {
    response.write(text)
    return
  }
  const bytes = Buffer.byteLength(text)
  socket.write(`${bytes.toString(16)}\r\n${text}\r\n`, bytes === text.length ? 'latin1' : 'utf8')
}

/** Sends a whole answer, unless the client has gone or an answer has begun. */
export function sendBody(
  response: ServerResponse,
  status: number,
  body: string,
  headers: Readonly<Record<string, string>> = {},
): void {
  if (response.headersSent || response.destroyed) return
  response.writeHead(status, {
    'content-type': 'application/json; charset=utf-8',
    'content-length': Buffer.byteLength(body),
    ...headers,
  })
  response.end(body)
}

/** What a mock request asks for, once checked. */
export interface MockRequest {
  readonly kind: 'chat' | 'completion'
  readonly model: string
  readonly prompt: string
  readonly stream: boolean
  readonly includeUsage: boolean
  /** Running usage on every chunk, as vLLM's `continuous_usage_stats` gives. */
  readonly continuousUsage: boolean
  readonly maxTokens: number | undefined
  readonly ignoreEos: boolean
}

export interface MockUsage {
  readonly promptTokens: number
  readonly cachedTokens: number
  readonly completionTokens: number
}

export function usageBody(usage: MockUsage): object {
  return {
    prompt_tokens: usage.promptTokens,
    completion_tokens: usage.completionTokens,
    total_tokens: usage.promptTokens + usage.completionTokens,
    prompt_tokens_details: { cached_tokens: usage.cachedTokens },
  }
}

/** Frames of one stream: what never changes is serialised once. */
export class StreamFrames {
  readonly #kind: MockRequest['kind']
  readonly #head: string

  constructor(kind: MockRequest['kind'], id: string, model: string, createdS: number) {
    this.#kind = kind
    const object = kind === 'chat' ? 'chat.completion.chunk' : 'text_completion'
    const fields = JSON.stringify({ id, object, created: createdS, model })
    this.#head = `data: ${fields.slice(0, -1)},"choices":`
  }

  role(): string {
    return `${this.#head}[{"index":0,"delta":{"role":"assistant","content":""},"logprobs":null,"finish_reason":null}]}\n\n`
  }

  /** `usage` is for servers that report on every chunk. */
  text(text: string, usage?: MockUsage): string {
    const quoted = JSON.stringify(text)
    const tail = usage === undefined ? '}\n\n' : `,"usage":${JSON.stringify(usageBody(usage))}}\n\n`
    return this.#kind === 'chat'
      ? `${this.#head}[{"index":0,"delta":{"content":${quoted}},"logprobs":null,"finish_reason":null}]${tail}`
      : `${this.#head}[{"index":0,"text":${quoted},"logprobs":null,"finish_reason":null}]${tail}`
  }

  finish(reason: 'stop' | 'length'): string {
    const body = this.#kind === 'chat' ? '"delta":{}' : '"text":""'
    return `${this.#head}[{"index":0,${body},"logprobs":null,"finish_reason":"${reason}"}]}\n\n`
  }

  usage(usage: MockUsage): string {
    return `${this.#head}[],"usage":${JSON.stringify(usageBody(usage))}}\n\n`
  }

  static readonly done = 'data: [DONE]\n\n'
}

/** The whole answer of a request that does not stream. */
export function completionBody(
  request: MockRequest,
  id: string,
  createdS: number,
  text: string,
  reason: 'stop' | 'length',
  usage: MockUsage | undefined,
): string {
  const answer = request.kind === 'chat' ? { message: { role: 'assistant', content: text } } : { text }
  return JSON.stringify({
    id,
    object: request.kind === 'chat' ? 'chat.completion' : 'text_completion',
    created: createdS,
    model: request.model,
    choices: [{ index: 0, ...answer, logprobs: null, finish_reason: reason }],
    ...(usage === undefined ? {} : { usage: usageBody(usage) }),
  })
}
