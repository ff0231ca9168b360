import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { truncate, copyFile } from 'node:fs/promises'
import http from 'node:http'
import net, { type AddressInfo } from 'node:net'
import OpenAI from 'openai'
import path from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { childrenOf, createTinyModel, isAlive, runCli, startServe, until, type StartedServer } from './start-cli.ts'

let model: Awaited<ReturnType<typeof createTinyModel>>
const servers: StartedServer[] = []

beforeAll(async () => {
  model = await createTinyModel()
})
afterEach(async () => {
  const running = servers.splice(0).filter((server) => server.child.exitCode === null)
  await Promise.all(running.map((server) => server.stop()))
})
afterAll(async () => {
  await model.remove()
})

async function start(...flags: readonly string[]): Promise<StartedServer> {
  const server = await startServe('--model', model.file, '--slots', '2', '--ctx-total', '8192', ...flags)
  servers.push(server)
  return server
}

const messages = [{ role: 'user' as const, content: 'Tell me something.' }]
const fixed = { model: 'tiny', messages, ignore_eos: true }

describe('serve', () => {
  it('ends with 78 and says why: model missing or damaged, port taken, open without a key', async () => {
    const missing = await runCli('serve', '--model', '/does/not/exist.gguf', '--port', '0')
    expect(missing).toMatchObject({ code: 78, output: expect.stringContaining('/does/not/exist.gguf') as string })

    const folder = await runCli('serve', '--model', path.dirname(model.file), '--port', '0')
    expect(folder).toMatchObject({ code: 78, output: expect.stringContaining('is a folder') as string })

    const damaged = model.file.replace('tiny', 'damaged')
    await copyFile(model.file, damaged)
    await truncate(damaged, 200_000)
    const truncated = await runCli('serve', '--model', damaged, '--port', '0')
    expect(truncated).toMatchObject({ code: 78, output: expect.stringContaining('damaged.gguf') as string })

    const other = net.createServer().listen(0, '127.0.0.1')
    await once(other, 'listening')
    const { port } = other.address() as AddressInfo
    const taken = await runCli('serve', '--model', model.file, '--port', String(port))
    expect(taken).toMatchObject({
      code: 78,
      output: expect.stringContaining(`Port ${port} on 127.0.0.1 is taken`) as string,
    })
    other.close()

    const open = await runCli('serve', '--model', model.file, '--port', '0', '--host', '0.0.0.0')
    expect(open).toMatchObject({ code: 78, output: expect.stringContaining('--insecure') as string })
  })

  it('prints a curl line that works, and answers the probes and descriptions that operators read', async () => {
    const server = await start()
    expect(server.output()).toContain(`curl ${server.url}/v1/chat/completions`)
    const get = async (path: string) => (await fetch(server.url + path)).json() as Promise<Record<string, unknown>>
    expect(await get('/v1/health/live')).toMatchObject({ object: 'health.response' })
    expect(await get('/v1/health/ready')).toMatchObject({ object: 'health.response' })
    expect(await get('/v1/version')).toMatchObject({ release: expect.stringMatching(/^\d+\.\d+\.\d+/) as string })
    expect(await get('/v1/license')).toMatchObject({
      name: 'Apache-2.0',
      sha: expect.stringMatching(/^[0-9a-f]{40}$/) as string,
    })
    expect(await get('/v1/metadata')).toMatchObject({ modelInfo: [{ shortName: 'tiny', modelUrl: model.file }] })
    expect(await get('/v1/manifest')).toMatchObject({ models: [{ name: 'tiny', state: 'ready' }] })
    expect(await server.metrics()).toMatch(
      /vllm:cache_config_info\{model_name="tiny",block_size="1",num_gpu_blocks="8192"\} 1/,
    )
  })

  it('serves one model under several names, and tells them all', async () => {
    const server = await start('--served-model-name', 'first', '--served-model-name', 'second')
    for (const name of ['first', 'second']) {
      const answer = await server.client.chat.completions.create({ ...fixed, model: name, max_tokens: 1 })
      expect(answer.model).toBe(name)
    }
    expect((await server.client.models.list()).data.map((each) => each.id)).toEqual(['first', 'second'])
  })

  it('drains on SIGTERM: not ready, new requests refused, the running stream completed, exit 0', async () => {
    const server = await start()
    const stream = await server.client.chat.completions.create({ ...fixed, max_tokens: 1500, stream: true })
    let tokens = 0
    let finish: string | null | undefined
    for await (const chunk of stream) {
      tokens += 1
      finish = chunk.choices[0]?.finish_reason
      if (tokens !== 5) continue
      server.child.kill('SIGTERM')
      await until(async () => (await fetch(`${server.url}/v1/health/ready`)).status === 503)
      expect((await fetch(`${server.url}/v1/health/live`)).status).toBe(200)
      const refused = server.client.chat.completions.create({ ...fixed, max_tokens: 1 })
      await expect(refused).rejects.toMatchObject({ status: 503, code: 'unavailable' })
    }
    expect(finish).toBe('length')
    if (server.child.exitCode === null) await once(server.child, 'exit')
    expect(server.child.exitCode).toBe(0)
  })

  it('gives up what still runs after --drain-ms, with an error event; its engine process ends too', async () => {
    const server = await start('--drain-ms', '200')
    const engines = childrenOf(server.child.pid ?? 0)
    expect(engines).toHaveLength(1)
    const streaming = async () => {
      const stream = await server.client.chat.completions.create({ ...fixed, max_tokens: 3500, stream: true })
      for await (const _ of stream) server.child.kill(server.child.killed ? 0 : 'SIGTERM')
    }
    await expect(streaming()).rejects.toMatchObject({ code: 'unavailable' })
    if (server.child.exitCode === null) await once(server.child, 'exit')
    expect(server.child.exitCode).toBe(0)
    await until(() => engines.every((pid) => !isAlive(pid)))
  })

  it('ends with npm where `npm start` is told to stop', async () => {
    const root = path.resolve(import.meta.dirname, '../..')
    const npm = spawn('npm', ['start', '--', '--port', '0'], { cwd: root, stdio: ['ignore', 'pipe', 'ignore'] })
    let output = ''
    npm.stdout.on('data', (text: Buffer) => (output += text.toString()))
    await until(() => /serves .* on http/.test(output))
    const started = descendantsOf(npm.pid ?? 0)
    expect(started.length).toBeGreaterThan(1)
    npm.kill('SIGTERM')
    await until(() => started.every((pid) => !isAlive(pid)))
  })

  it('ends at once on the second signal, and its engine process with it', async () => {
    const server = await start()
    const engines = childrenOf(server.child.pid ?? 0)
    const stream = await server.client.chat.completions.create({ ...fixed, max_tokens: 3500, stream: true })
    const reading = (async () => {
      for await (const _ of stream);
      return 'complete'
    })().catch((error: unknown) => error)
    server.child.kill('SIGTERM')
    await until(async () => (await fetch(`${server.url}/v1/health/ready`)).status === 503)
    server.child.kill('SIGINT')
    await once(server.child, 'exit')
    expect(server.child.exitCode).toBe(130)
    expect(await reading).toBeInstanceOf(Error)
    await until(() => engines.every((pid) => !isAlive(pid)))
  })
})

describe('a server beyond its own user', () => {
  it('asks for the key on every path but the probes', async () => {
    const server = await start('--api-key', 'a-secret-of-mine')
    for (const path of ['/v1/models', '/metrics', '/v1/metadata'])
      expect((await fetch(server.url + path)).status).toBe(401)
    for (const path of ['/v1/health/live', '/v1/health/ready'])
      expect((await fetch(server.url + path)).status).toBe(200)
    await expect(server.client.chat.completions.create({ ...fixed })).rejects.toBeInstanceOf(OpenAI.AuthenticationError)
    const keyed = new OpenAI({ baseURL: `${server.url}/v1`, apiKey: 'a-secret-of-mine' })
    expect((await keyed.chat.completions.create({ ...fixed, max_tokens: 2 })).usage?.completion_tokens).toBe(2)
    expect((await fetch(`${server.url}/v1/models`, { headers: { 'x-api-key': 'a-secret-of-mine' } })).status).toBe(200)
    expect(server.output()).not.toContain('a-secret-of-mine')
  })

  it('refuses foreign web pages by Host and by Origin, and lets allowed origins in with CORS', async () => {
    const server = await start('--cors-origin', 'https://app.example')
    const { port } = new URL(server.url)
    expect(await rebound(Number(port))).toBe(403)
    const post = (origin: string) =>
      fetch(`${server.url}/v1/chat/completions`, {
        method: 'POST',
        headers: { origin },
        body: JSON.stringify({ ...fixed, max_tokens: 1 }),
      })
    expect((await post('https://evil.example')).status).toBe(403)
    const allowed = await post('https://app.example')
    expect(allowed.status).toBe(200)
    expect(allowed.headers.get('access-control-allow-origin')).toBe('https://app.example')
    const preflight = await fetch(`${server.url}/v1/chat/completions`, {
      method: 'OPTIONS',
      headers: {
        origin: 'https://app.example',
        'access-control-request-method': 'POST',
        'access-control-request-headers': 'authorization',
      },
    })
    expect(preflight.status).toBe(204)
    expect(preflight.headers.get('access-control-allow-headers')).toContain('authorization')
  })
})

function descendantsOf(pid: number): readonly number[] {
  const children = childrenOf(pid)
  return children.concat(children.flatMap(descendantsOf))
}

/** The status that a page gets whose own name was made to resolve to loopback. */
async function rebound(port: number): Promise<number | undefined> {
  const request = http.get({ port, host: '127.0.0.1', path: '/v1/models', headers: { host: `evil.example:${port}` } })
  const [response] = (await once(request, 'response')) as [http.IncomingMessage]
  response.resume()
  return response.statusCode
}
