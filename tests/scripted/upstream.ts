import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo, Socket } from 'node:net'

/** What an upstream got, and whether its client went away before the answer was whole. */
export interface UpstreamRequest {
  readonly path: string
  readonly headers: IncomingMessage['headers']
  readonly body: Readonly<Record<string, unknown>>
  /** Milliseconds (performance.now) at which the connection closed under an unfinished answer. */
  abandonedAtMs?: number
}

export type UpstreamAnswer = (
  response: ServerResponse & { readonly socket: Socket | null },
  request: UpstreamRequest,
) => void | Promise<void>

export interface Upstream {
  readonly url: string
  /** Generation requests only: not those for health and models. */
  readonly requests: UpstreamRequest[]
  close(): Promise<void>
}

/** Its certificate, and the certificate that must have signed those of its clients, if any. */
export interface UpstreamTls {
  readonly cert: string
  readonly key: string
  readonly clientCa?: string
}

/** An engine that does to each request exactly what a test says, over real sockets. Owned by vLLM, by its own word. */
export async function startUpstream(answer: UpstreamAnswer, tls?: UpstreamTls): Promise<Upstream> {
  const requests: UpstreamRequest[] = []
  const handle = (incoming: IncomingMessage, response: ServerResponse): void => {
    const pieces: Buffer[] = []
    incoming.on('data', (piece: Buffer) => pieces.push(piece))
    incoming.on('end', () => {
      if (incoming.method === 'GET') {
        if (incoming.url === '/v1/models')
          response.end('{"data":[{"id":"org/real","owned_by":"vllm","max_model_len":4096}]}')
        else response.writeHead(incoming.url === '/health' ? 200 : 404).end()
        return
      }
      const body = JSON.parse(Buffer.concat(pieces).toString()) as Record<string, unknown>
      if (incoming.url === '/tokenize') {
        // A word is a token here.
        response.end(
          JSON.stringify({
            tokens:
              String(body['prompt'])
                .match(/\S+/g)
                ?.map((_, at) => at) ?? [],
          }),
        )
        return
      }
      const request: UpstreamRequest = { path: incoming.url ?? '', headers: incoming.headers, body }
      response.on('close', () => {
        if (!response.writableFinished) request.abandonedAtMs = performance.now()
      })
      response.on('error', () => undefined)
      requests.push(request)
      void answer(response, request)
    })
  }
  const server =
    tls === undefined
      ? createServer(handle)
      : createTlsServer(
          {
            cert: tls.cert,
            key: tls.key,
            ...(tls.clientCa === undefined ? {} : { ca: tls.clientCa, requestCert: true }),
          },
          handle,
        )
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `${tls === undefined ? 'http' : 'https'}://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    close: async () => {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

/** One frame of a chat stream as vLLM writes it. */
export function chatFrame(delta: object, finish: string | null = null): string {
  const choices = [{ index: 0, delta, logprobs: null, finish_reason: finish }]
  return `data: ${JSON.stringify({ id: 'chatcmpl-up', object: 'chat.completion.chunk', created: 7, model: 'org/real', choices })}\n\n`
}

/** The frames that end it: finish reason, usage if it was asked for, [DONE]. */
export function chatEnd(request: UpstreamRequest, completionTokens: number): string {
  const wanted = (request.body['stream_options'] as { include_usage?: boolean } | undefined)?.include_usage === true
  const usage = { prompt_tokens: 5, completion_tokens: completionTokens, total_tokens: 5 + completionTokens }
  const chunk = `data: ${JSON.stringify({ id: 'chatcmpl-up', object: 'chat.completion.chunk', created: 7, model: 'org/real', choices: [], usage })}\n\n`
  return `${chatFrame({}, 'stop')}${wanted ? chunk : ''}data: [DONE]\n\n`
}

/** Words that an honest replica counts up, going on from where the last assistant message ends. */
export function countingWords(request: UpstreamRequest, total: number): string[] {
  const messages = request.body['messages'] as readonly { role: string; content: string }[]
  const last = messages.at(-1)
  const said = last?.role === 'assistant' ? (last.content.match(/\S+\s/g) ?? []).length : 0
  return Array.from({ length: total - said }, (_, at) => `w${said + at} `)
}

/** An honest replica: counts to `total`, streamed or whole, each word after `gapMs`. */
export function counting(total: number, gapMs = 0): UpstreamAnswer {
  return async (response, request) => {
    const words = countingWords(request, total)
    if (request.body['stream'] !== true) {
      const message = { role: 'assistant', content: words.join('') }
      const usage = { prompt_tokens: 5, completion_tokens: total, total_tokens: 5 + total }
      response.setHeader('content-type', 'application/json')
      response.end(
        JSON.stringify({
          id: 'x',
          object: 'chat.completion',
          created: 7,
          model: 'org/real',
          choices: [{ index: 0, message, finish_reason: 'stop' }],
          usage,
        }),
      )
      return
    }
    response.setHeader('content-type', 'text/event-stream')
    response.write(chatFrame({ role: 'assistant', content: '' }))
    for (const content of words) {
      if (gapMs > 0) await new Promise((resolve) => setTimeout(resolve, gapMs))
      if (response.destroyed) return
      response.write(chatFrame({ content }))
    }
    response.end(chatEnd(request, words.length))
  }
}
