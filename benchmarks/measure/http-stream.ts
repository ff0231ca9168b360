import { connect } from 'node:net'

/** One streamed completion, as its client saw it. Times are of `performance.now()`, milliseconds. */
export interface StreamResult {
  readonly sentMs: number
  /** Arrival of each event that carried text. */
  readonly textMs: readonly number[]
  readonly endMs: number
  /** As the server reported them; a server that does not say makes the measurement fail. */
  readonly promptTokens: number
  readonly completionTokens: number
  readonly cachedTokens: number | undefined
}

export interface StreamRequest {
  readonly port: number
  readonly body: object
  /** Called at each event that carries text. */
  readonly onText?: () => void
  /** Ends the stream from the client's side; what came until then is the result, with the counts at 0. */
  readonly signal?: AbortSignal
}

/**
 * Posts to `/v1/completions` on a socket of its own and reads the SSE answer as it comes. Bytes are searched, not
 * parsed: a client on the same cores must cost less than what it measures. Fails on any status but 200, on an error
 * event, and on an end without usage.
 */
export function streamCompletion({ port, body, onText, signal }: StreamRequest): Promise<StreamResult> {
  const payload = Buffer.from(JSON.stringify(body))
  const head =
    `POST /v1/completions HTTP/1.1\r\nhost: 127.0.0.1:${port}\r\ncontent-type: application/json\r\n` +
    `content-length: ${payload.length}\r\nconnection: close\r\n\r\n`
  return new Promise((resolve, reject) => {
    // One buffer for all reads, handed over without the stream machinery: half the client's cost a token.
    const onread = { buffer: Buffer.allocUnsafeSlow(65_536), callback: (length: number) => read(length) }
    const socket = connect({ port, host: '127.0.0.1', noDelay: true, onread })
    const textMs: number[] = []
    let sentMs = performance.now()
    let rest = ''
    let isOpen = false
    let usage: {
      prompt_tokens: number
      completion_tokens: number
      prompt_tokens_details?: { cached_tokens?: number }
    } = {
      prompt_tokens: 0,
      completion_tokens: 0,
    }
    const take = (event: string) => {
      const at = event.indexOf('data: ')
      if (at < 0) return
      if (event.includes('"error":{')) throw new Error(`Error event: ${event.slice(at, at + 500)}`)
      if (/"text":"(?!")/.test(event)) {
        textMs.push(performance.now())
        onText?.()
      }
      if (event.includes('"usage":{')) usage = (JSON.parse(event.slice(at + 6)) as { usage: typeof usage }).usage
    }
    const finish = () => {
      resolve({
        sentMs,
        textMs,
        endMs: performance.now(),
        promptTokens: usage.prompt_tokens,
        completionTokens: usage.completion_tokens,
        cachedTokens: usage.prompt_tokens_details?.cached_tokens,
      })
    }
    const read = (length: number): boolean => {
      rest += onread.buffer.toString('latin1', 0, length)
      try {
        if (!isOpen) {
          const end = rest.indexOf('\r\n\r\n')
          if (end < 0) return true
          if (!rest.startsWith('HTTP/1.1 200')) throw new Error(`Answer: ${rest.slice(0, 600)}`)
          rest = rest.slice(end + 4)
          isOpen = true
        }
        const events = rest.split('\n\n')
        rest = events.pop() ?? ''
        for (const event of events) take(event)
      } catch (error) {
        socket.destroy()
        reject(error instanceof Error ? error : new Error(String(error)))
      }
      return true
    }
    socket.on('connect', () => {
      sentMs = performance.now()
      socket.write(head)
      socket.write(payload)
    })
    socket.on('error', reject)
    socket.on('close', () => {
      if (signal?.aborted || usage.completion_tokens > 0) finish()
      else reject(new Error(`The stream ended without usage after ${textMs.length} texts. ${rest.slice(0, 300)}`))
    })
    signal?.addEventListener('abort', () => socket.destroy(), { once: true })
  })
}

/** Resolves once `path` answers 200; fails when the process ends first or after `limitMs`. */
export async function waitUntilReady(
  port: number,
  path: string,
  isAlive: () => boolean,
  limitMs = 60_000,
): Promise<void> {
  const untilMs = performance.now() + limitMs
  while (performance.now() < untilMs) {
    if (!isAlive()) throw new Error('The server ended before it was ready.')
    const response = await fetch(`http://127.0.0.1:${port}${path}`).catch(() => undefined)
    await response?.body?.cancel()
    if (response?.status === 200) return
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  throw new Error(`Not ready within ${limitMs} ms.`)
}
