import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { benchOptions, runBench, type BenchResult } from '../../src/bench/index.ts'
import { createMachineClock, defaultValues } from '../../src/core/index.ts'

/** What upstreams do within status 200, or refuse of our requests, as the bench sees it: failure, or figures. */

type Chunk = object
const delta = (fields: object, finish: string | null = null): Chunk => ({
  choices: [{ index: 0, delta: fields, finish_reason: finish }],
})
const usage = (figures: object): Chunk => ({ choices: [], usage: { prompt_tokens: 9, ...figures } })
const part = (text: string) => [{ type: 'thinking', thinking: [{ type: 'text', text }] }]
const three = Array.from({ length: 3 }, () => delta({ content: 'a ' }))
const whole = [...three, delta({}, 'stop'), usage({ completion_tokens: 3, total_tokens: 12 })]
const five = (make: (at: number) => object) => Array.from({ length: 5 }, (_, at) => delta(make(at)))

/** Chunks of a stream by the first segment of its path; text goes out as it stands. */
const streams: Readonly<Record<string, readonly (Chunk | string)[]>> = {
  objectError: [...three, { object: 'error', message: 'engine died', code: 500 }],
  eventError: [...three, 'event: error\ndata: {"message":"engine died"}\n\n'],
  abort: [...three, delta({}, 'abort'), usage({ completion_tokens: 3, total_tokens: 12 })],
  detail: [...three, { detail: 'engine died' }],
  strict: whole,
  reasoner: whole,
  list: [
    ...five((at) => ({ content: at < 3 ? part('hm ') : [{ type: 'text', text: 'a ' }] })),
    delta({}, 'stop'),
    usage({ completion_tokens: 5, total_tokens: 14 }),
  ],
  separate: [
    ...Array.from({ length: 20 }, () => delta({ reasoning_content: 'hm hm hm ' })),
    ...five(() => ({ content: 'aaaa ' })),
    delta({}, 'stop'),
    usage({ completion_tokens: 5, total_tokens: 114, completion_tokens_details: { reasoning_tokens: 100 } }),
  ],
}

/** Status and message of what an endpoint refuses; undefined where it takes the request. */
function refusal(name: string, body: Readonly<Record<string, unknown>>): [number, object] | undefined {
  const told = (message: string) => ({ error: { message } })
  if (name === 'strict' && 'ignore_eos' in body)
    return [422, { detail: [{ type: 'extra_forbidden', loc: ['body', 'ignore_eos'], msg: 'Extra inputs' }] }]
  if (name === 'strict' && 'stream_options' in body) return [422, { detail: 'stream_options: extra inputs' }]
  if (name === 'reasoner' && 'ignore_eos' in body) return [400, told('Unrecognized request argument: ignore_eos')]
  if (name === 'reasoner' && 'max_tokens' in body)
    return [400, told("Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead.")]
  return undefined
}

let server: Server
let origin: string
const asked: string[] = []
beforeAll(async () => {
  server = createServer((request, response) => {
    const url = new URL(request.url ?? '', 'http://host')
    const name = url.pathname.split('/')[1] ?? ''
    let text = ''
    request.on('data', (bytes: Buffer) => (text += bytes.toString()))
    request.on('end', () => {
      asked.push(request.url ?? '')
      if (request.method === 'GET') return response.end('{"data":[{"id":"up"}]}')
      if (!url.pathname.endsWith('/chat/completions')) return response.writeHead(404).end('no')
      const refused = refusal(name, JSON.parse(text) as Record<string, unknown>)
      if (refused !== undefined)
        return response.writeHead(refused[0], { 'content-type': 'application/json' }).end(JSON.stringify(refused[1]))
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      for (const chunk of streams[name] ?? [])
        response.write(typeof chunk === 'string' ? chunk : `data: ${JSON.stringify(chunk)}\n\n`)
      return response.end('data: [DONE]\n\n')
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
})
afterAll(() => server.close())

function measure(base: string): Promise<BenchResult> {
  const wide = { maxSendLag: 60_000, maxReceiveLag: 60_000, quiet: true }
  const load = { requests: 12, concurrency: ['2'], warmup: '0', output: '10', prompt: '20', failurePause: 1 }
  const options = { ...defaultValues(benchOptions), ...wide, ...load, metrics: 'none', energy: 'none' }
  return runBench(options, [base], {
    clock: createMachineClock(),
    stop: new AbortController().signal,
    version: 'test',
    command: 'test',
    onNote: () => {},
    onProgress: () => {},
    onRun: () => {},
  })
}

describe('runBench() against upstreams that', () => {
  it.each(['objectError', 'eventError', 'abort', 'detail'])('fail within a stream of status 200: %s', async (name) => {
    await expect(measure(`${origin}/${name}/v1`)).rejects.toThrow(/errorEvent: /)
  })

  it.each([
    ['strict', 3],
    ['reasoner', 3],
    ['list', 5],
    ['separate', 105],
  ])('are measured: %s', async (name, outputTokens) => {
    const { summary } = await measure(`${origin}/${name}/v1`)
    expect(summary).toMatchObject({ completed: 12, errors: 0, outputTokensMean: outputTokens, usageSuspect: 0 })
  })

  it('have a path and a query string of their own', async () => {
    const { summary } = await measure(`${origin}/list/deployments/d?api-version=2024-10-21`)
    expect(summary['completed']).toBe(12)
    expect(asked).toContain('/list/deployments/d/models?api-version=2024-10-21')
    expect(asked).toContain('/list/deployments/d/chat/completions?api-version=2024-10-21')
  })

  it('serve their API under /v1, which is suggested for a bare origin', async () => {
    const bare = createServer((request, response) => response.writeHead(404).end(request.url))
    await new Promise<void>((resolve) => bare.listen(0, '127.0.0.1', resolve))
    const url = `http://127.0.0.1:${(bare.address() as AddressInfo).port}`
    await expect(measure(url)).rejects.toThrow(`Try ${url}/v1.`)
    bare.close()
  })
})
