/**
 * `npm run bench:gateway -- --llama-server`: two real llama-servers (built from the source bundle in node-llama-cpp) with
 * nano behind one name, `engine: auto`. What a client gets through Tokenmill is compared with what llama-server says itself; then one is
 * killed within streams. Prints a line for each check, and fails with the first that does not hold.
 */
import { deepEqual, equal, ok } from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import path from 'node:path'
import { buildLlamaServer } from '../contenders/llama-server.ts'
import { startLlamaServer } from '../contenders/server.ts'
import { startProgram } from './harness.ts'

const root = path.join(import.meta.dirname, '../..')
const job = { model: path.join(root, 'models/nano/nano.gguf'), slots: 4, slotTokens: 2048, threads: 1 }

interface Answer {
  readonly choices: readonly {
    readonly message?: { readonly content?: string; readonly tool_calls?: readonly ToolCall[] }
    readonly text?: string
    readonly delta?: { readonly content?: string | null }
    readonly finish_reason: string | null
  }[]
  readonly usage?: { readonly prompt_tokens: number; readonly completion_tokens: number }
  readonly error?: { readonly code: string; readonly message: string }
}

interface ToolCall {
  readonly function: { readonly name: string; readonly arguments: string }
}

export async function checkLlamaServer(folder: string): Promise<void> {
  const binary = buildLlamaServer()
  const start = () => startLlamaServer(binary, { ...job, flags: ['--jinja', '--metrics'] })
  const [first, second] = await Promise.all([start(), start()])
  const config = path.join(folder, 'llama-servers.yaml')
  const addresses = [first, second].map(({ port }) => `http://127.0.0.1:${port}`)
  writeFileSync(
    config,
    `models: [{name: chat, endpoints: [${addresses.map((url) => `{url: "${url}"}`).join(', ')}]}]\n`,
  )
  const gateway = await startProgram('tokenmill', [
    path.join(root, 'src/cli/main.ts'),
    'serve',
    '--config',
    config,
    '--port',
    '0',
  ])
  const [own = ''] = addresses
  const here = gateway.url
  try {
    await until(async () => (await fetch(`${here}/v1/health/ready`)).status === 200, 'ready')
    await until(
      async () => (await metric(here, 'tokenmill_endpoint_requests_running')).length === 2,
      'load feed of both',
    )
    console.log('found and watched: ok')

    const chat = { temperature: 0, seed: 1, messages: [{ role: 'user', content: 'What is goodput?' }] }
    const [through, direct] = [await post(here, 'chat', chat), await post(own, 'chat', chat)]
    equal(through.choices[0]?.message?.content, direct.choices[0]?.message?.content)
    deepEqual(counts(through), counts(direct))
    console.log(`chat: ok, ${JSON.stringify(through.choices[0]?.message?.content)}`)

    const plain = await stream(here, chat)
    equal(plain.text, direct.choices[0]?.message?.content)
    equal(plain.usages, 0)
    equal((await stream(here, { ...chat, stream_options: { include_usage: true } })).usages, 1)
    console.log('stream, with usage and without: ok')

    const completion = { prompt: 'Goodput', max_tokens: 12, temperature: 0 }
    const texts = [await post(here, 'completion', completion), await post(own, 'completion', completion)]
    equal(texts[0]?.choices[0]?.text, texts[1]?.choices[0]?.text)
    const { tokens } = await ask<{ tokens: number[] }>(here, '/tokenize', { model: 'chat', prompt: 'What is goodput?' })
    const { prompt } = await ask<{ prompt: string }>(here, '/detokenize', { model: 'chat', tokens })
    equal(prompt, 'What is goodput?')
    console.log('completion, tokenize, detokenize: ok')

    const weather = {
      type: 'function',
      function: {
        name: 'get_weather',
        description: 'Get the weather of a city',
        parameters: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] },
      },
    }
    const messages = [{ role: 'user', content: 'What is the weather in Paris?' }]
    const called = await post(here, 'chat', { temperature: 0, messages, tools: [weather] })
    equal(called.choices[0]?.message?.tool_calls?.[0]?.function.name, 'get_weather')
    const schema = {
      type: 'object',
      properties: { n: { type: 'integer' } },
      required: ['n'],
      additionalProperties: false,
    }
    const json_schema = { name: 'n', strict: true, schema }
    const made = await post(here, 'chat', {
      ...chat,
      max_tokens: 50,
      response_format: { type: 'json_schema', json_schema },
    })
    ok(Number.isInteger((JSON.parse(made.choices[0]?.message?.content ?? '') as { n: unknown }).n))
    console.log('a tool call, a JSON schema: ok')

    const long = { messages: [{ role: 'user', content: 'word '.repeat(5000) }] }
    equal((await post(here, 'chat', long)).error?.code, 'context_length_exceeded')
    equal((await post(here, 'chat', { ...chat, model: 'nobody' })).error?.code, 'model_not_found')
    console.log('a prompt that is too long, a model that is not there: ok')

    const endless = { prompt: 'Goodput', max_tokens: 1900, ignore_eos: true, temperature: 0 }
    const leaver = new AbortController()
    const left = stream(here, endless, '/v1/completions', leaver).catch(() => undefined)
    await until(async () => (await busy(addresses)) === 1, 'a running request')
    leaver.abort()
    await left
    const sinceMs = performance.now()
    await until(async () => (await busy(addresses)) === 0, 'its end')
    console.log(`a client that left, free at llama-server after ${Math.round(performance.now() - sinceMs)} ms: ok`)

    const running = Array.from({ length: 4 }, () => stream(here, endless, '/v1/completions'))
    await until(async () => (await busy(addresses)) === 4, 'four streams')
    process.kill(first.pid, 'SIGKILL')
    const survived = await Promise.all(running)
    for (const { finish, done } of survived) deepEqual([finish, done], ['length', true])
    equal((await post(here, 'chat', chat)).choices[0]?.message?.content, direct.choices[0]?.message?.content)
    console.log('one killed within four streams, all of them complete: ok')
  } finally {
    await Promise.all([gateway.child.stop(), first.stop(), second.stop()])
  }
}

async function post(url: string, kind: 'chat' | 'completion', body: object): Promise<Answer> {
  return await ask<Answer>(url, kind === 'chat' ? '/v1/chat/completions' : '/v1/completions', {
    model: 'chat',
    ...body,
  })
}

async function ask<T>(url: string, route: string, body: object): Promise<T> {
  const headers = { 'content-type': 'application/json' }
  const response = await fetch(`${url}${route}`, { method: 'POST', headers, body: JSON.stringify(body) })
  return (await response.json()) as T
}

/** Reads a stream to its end. Throws what an error event says. */
async function stream(url: string, body: object, route = '/v1/chat/completions', leaver?: AbortController) {
  const response = await fetch(`${url}${route}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ model: 'chat', ...body, stream: true }),
    signal: leaver?.signal ?? null,
  })
  const told = { text: '', usages: 0, finish: '', done: false }
  for (const line of (await response.text()).split('\n')) {
    if (!line.startsWith('data: ')) continue
    if (line === 'data: [DONE]') {
      told.done = true
      continue
    }
    const { choices, usage, error } = JSON.parse(line.slice(6)) as Answer
    if (error !== undefined) throw new Error(error.message)
    told.text += choices[0]?.delta?.content ?? choices[0]?.text ?? ''
    told.finish = choices[0]?.finish_reason ?? told.finish
    if (usage !== undefined && usage !== null) told.usages += 1
  }
  return told
}

const counts = ({ usage }: Answer) => [usage?.prompt_tokens, usage?.completion_tokens]

async function metric(url: string, name: string): Promise<number[]> {
  const page = await (await fetch(`${url}/metrics`)).text()
  return page.split('\n').flatMap((line) => (line.startsWith(name) ? [Number(line.split(' ').at(-1))] : []))
}

/** Requests that the servers compute; a dead one computes none. */
async function busy(urls: readonly string[]): Promise<number> {
  const each = await Promise.all(urls.map((url) => metric(url, 'llamacpp:requests_processing').catch(() => [0])))
  return each.flat().reduce((sum, value) => sum + value, 0)
}

async function until(holds: () => Promise<boolean>, what: string): Promise<void> {
  const endMs = performance.now() + 20_000
  while (!(await holds().catch(() => false))) {
    if (performance.now() > endMs) throw new Error(`Waited 20 s in vain for: ${what}.`)
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}
