/**
 * The engine behind every contender: answers each request from prepared bytes, whole at once or as a paced stream, so
 * that what is measured is the way there and back. Run as a process of its own; prints its address.
 */
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

const id = 'chatcmpl-0123456789abcdef01234567'
const head = { id, object: 'chat.completion.chunk', created: 1_700_000_000, model: 'org/model' }
const choice = (delta: object, finish: string | null) => [{ index: 0, delta, logprobs: null, finish_reason: finish }]
const event = (value: object): Buffer => Buffer.from(`data: ${JSON.stringify(value)}\n\n`)
const first = event({ ...head, choices: choice({ role: 'assistant', content: '' }, null) })
const token = event({ ...head, choices: choice({ content: ' token' }, null) })
const last = event({ ...head, choices: choice({}, 'stop') })
const usage = { prompt_tokens: 12, completion_tokens: 64, total_tokens: 76 }
const end = Buffer.concat([event({ ...head, choices: [], usage }), Buffer.from('data: [DONE]\n\n')])
const whole = Buffer.from(
  JSON.stringify({
    ...head,
    object: 'chat.completion',
    choices: [{ index: 0, message: { role: 'assistant', content: ' token'.repeat(64) }, finish_reason: 'stop' }],
    usage,
  }),
)

/** A token each `gapMs`, by one timer for each stream; 0 writes them one by one as fast as they go. */
async function stream(response: ServerResponse, tokens: number, gapMs: number): Promise<void> {
  response.writeHead(200, { 'content-type': 'text/event-stream' })
  response.write(first)
  for (let at = 0; at < tokens && !response.destroyed; at += 1) {
    response.write(token)
    await new Promise((resolve) => (gapMs > 0 ? setTimeout(resolve, gapMs) : setImmediate(resolve)))
  }
  response.write(last)
  response.end(end)
}

const server = createServer((request, response) => {
  if (request.method === 'GET') {
    const list = { data: [{ id: 'org/model', owned_by: 'vllm' }] }
    if (request.url === '/v1/models') response.end(JSON.stringify(list))
    else response.writeHead(request.url === '/health' ? 200 : 404).end()
    return
  }
  let body = ''
  request.setEncoding('utf8')
  request.on('data', (piece: string) => {
    // The fields stand first or are spliced in first; a long prompt need not be kept.
    if (body.length < 4096) body += piece
  })
  request.on('end', () => {
    const tokens = Number(/"max_tokens":(\d+)/.exec(body)?.[1] ?? 64)
    const gapMs = Number(/"seed":(\d+)/.exec(body)?.[1] ?? 0)
    if (/"stream":true/.test(body)) void stream(response, tokens, gapMs)
    else response.writeHead(200, { 'content-type': 'application/json', 'content-length': whole.length }).end(whole)
  })
})
server.keepAliveTimeout = 60_000
server.listen(0, '127.0.0.1', () => console.log(`http://127.0.0.1:${(server.address() as AddressInfo).port}`))
