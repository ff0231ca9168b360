import { execFileSync, spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import OpenAI from 'openai'
import { Agent, fetch as fetchVia } from 'undici'
import { afterAll, afterEach, describe, expect, it } from 'vitest'
import { parseConfig } from '../../src/config/index.ts'
import { startTestServer, type TestServer } from '../scripted/server.ts'
import { counting, startUpstream, type Upstream, type UpstreamTls } from '../scripted/upstream.ts'
import { Authority } from '../support/certificates.ts'

const folder = mkdtempSync(path.join(tmpdir(), 'tokenmill-tls-'))
const file = (name: string, text: string): string => {
  writeFileSync(path.join(folder, name), text)
  return name
}
const authority = new Authority('mill authority')
const stranger = new Authority('another authority')
const server = authority.issue('127.0.0.1')
const client = authority.issue('client')
file('ca.pem', authority.cert)
file('server.pem', server.cert)
file('server.key', server.key)
file('client.pem', client.cert)
file('client.key', client.key)

const closing: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close()
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

async function upstream(tls?: UpstreamTls): Promise<Upstream> {
  const started = await startUpstream(counting(3), tls)
  closing.push(() => started.close())
  return started
}

async function serve(text: string): Promise<TestServer> {
  const started = await startTestServer(
    [],
    { exposeUpstreamErrors: true },
    parseConfig(text, path.join(folder, 'tokenmill.yaml'), {}),
  )
  closing.push(() => started.close(AbortSignal.abort()))
  return started
}

const chat = (endpoints: readonly string[]): string =>
  `models: [{name: chat, placement: round-robin, endpoints: [${endpoints.join(', ')}]}]\nlimits: {probeTimeoutMs: 30s}\n`
const messages = [{ role: 'user' as const, content: 'count' }]
const ca = '{file: ca.pem}'

async function ask(url: string): Promise<string | null | undefined> {
  const openai = new OpenAI({ baseURL: `${url}/v1`, apiKey: 'unused', maxRetries: 0 })
  const answer = await openai.chat.completions.create({ model: 'chat', messages })
  let streamed = ''
  const stream = await openai.chat.completions.create({ model: 'chat', messages, stream: true })
  for await (const chunk of stream) streamed += chunk.choices[0]?.delta.content ?? ''
  expect(streamed).toBe(answer.choices[0]?.message.content)
  return streamed
}

describe('an endpoint behind TLS', () => {
  it('is spoken to when the authority that the configuration names has signed its certificate', async () => {
    const up = await upstream(server)
    const gateway = await serve(chat([`{url: "${up.url}", tls: {ca: ${ca}}}`]))
    expect(await ask(gateway.url)).toBe('w0 w1 w2 ')
  })

  it('gets our own certificate where it asks for one', async () => {
    const up = await upstream({ ...server, clientCa: authority.cert })
    const tls = `{ca: ${ca}, cert: {file: client.pem}, key: {file: client.key}}`
    const gateway = await serve(chat([`{url: "${up.url}", tls: ${tls}}`]))
    expect(await ask(gateway.url)).toBe('w0 w1 w2 ')
  })

  it('may have a certificate for the name that the configuration tells', async () => {
    const up = await upstream(authority.issue('replica.internal'))
    const gateway = await serve(chat([`{url: "${up.url}", tls: {ca: ${ca}, serverName: replica.internal}}`]))
    expect(await ask(gateway.url)).toBe('w0 w1 w2 ')
  })

  const faults: readonly [string, () => UpstreamTls, string, RegExp][] = [
    ['another host name', () => authority.issue('elsewhere.internal'), `{ca: ${ca}}`, /another host name.*serverName/],
    ['expired', () => authority.issue('127.0.0.1', 2), `{ca: ${ca}}`, /has expired/],
    ['signed by a stranger', () => stranger.issue('127.0.0.1'), `{ca: ${ca}}`, /nobody known here has signed.*tls\.ca/],
    ['signed by an authority that is not configured', () => server, '{}', /nobody known here has signed.*tls\.ca/],
    [
      'wanting ours',
      () => ({ ...server, clientCa: authority.cert }),
      `{ca: ${ca}}`,
      /wants a certificate of ours|closed the connection/,
    ],
  ]
  for (const [name, identity, tls, words] of faults) {
    it(`with a certificate that is ${name} gets no request: a clear error, and another replica serves`, async () => {
      const bad = await upstream(identity())
      const alone = await serve(chat([`{url: "${bad.url}", tls: ${tls}}`]))
      const openai = new OpenAI({ baseURL: `${alone.url}/v1`, apiKey: 'unused', maxRetries: 0 })
      const refused = await openai.chat.completions.create({ model: 'chat', messages }).then(
        () => undefined,
        (error: unknown) => error,
      )
      expect(refused).toBeInstanceOf(OpenAI.APIError)
      expect((refused as InstanceType<typeof OpenAI.APIError>).status).toBe(503)
      expect((refused as Error).message).toMatch(words)
      expect(alone.logLines.find((line) => line.includes('"state":"unavailable"'))).toMatch(words)

      const good = await upstream(server)
      const both = await serve(chat([`{url: "${bad.url}", tls: ${tls}}`, `{url: "${good.url}", tls: {ca: ${ca}}}`]))
      for (let round = 0; round < 3; round += 1) expect(await ask(both.url)).toBe('w0 w1 w2 ')
      expect(bad.requests).toEqual([])
      const metrics = await (await fetch(`${both.url}/metrics`)).text()
      expect(metrics).toContain(`tokenmill_endpoint_up{model_name="chat",endpoint="${bad.url}"} 0`)
      expect(metrics).toContain(`tokenmill_endpoint_up{model_name="chat",endpoint="${good.url}"} 1`)
    })
  }

  it('that speaks no TLS at all is told apart, and one that is not to be verified is not', async () => {
    const plain = await upstream()
    const gateway = await serve(chat([`{url: "${plain.url.replace('http:', 'https:')}"}`]))
    await expect(ask(gateway.url)).rejects.toThrow(/failed TLS/)
    const strange = await upstream(stranger.issue('127.0.0.1'))
    const trusting = await serve(chat([`{url: "${strange.url}", tls: {verify: false}}`]))
    expect(await ask(trusting.url)).toBe('w0 w1 w2 ')
  })
})

describe('listen.tls', () => {
  const listen = (more = ''): string => `listen: {tls: {cert: {file: server.pem}, key: {file: server.key}${more}}}\n`
  const via = async (url: string, connect: object): Promise<number> => {
    const agent = new Agent({ connect })
    try {
      const body = JSON.stringify({ model: 'chat', messages, stream: true })
      const headers = { 'content-type': 'application/json' }
      const answer = await fetchVia(`${url}/v1/chat/completions`, { dispatcher: agent, method: 'POST', headers, body })
      expect(await answer.text()).toContain('data: [DONE]')
      return answer.status
    } finally {
      await agent.close()
    }
  }

  it('serves HTTPS to those who know the authority, and to nobody in the clear', async () => {
    const up = await upstream()
    const gateway = await serve(listen() + chat([`{url: "${up.url}"}`]))
    expect(gateway.url).toMatch(/^https:/)
    expect(await via(gateway.url, { ca: authority.cert })).toBe(200)
    await expect(via(gateway.url, { ca: stranger.cert })).rejects.toThrow(/fetch failed/)
    await expect(fetch(gateway.url.replace('https:', 'http:'))).rejects.toThrow(/fetch failed/)
    expect(up.requests).toHaveLength(1)
  })

  it('lets in only clients with a certificate where clientCa is set', async () => {
    const up = await upstream()
    const gateway = await serve(listen(`, clientCa: ${ca}`) + chat([`{url: "${up.url}"}`]))
    expect(await via(gateway.url, { ca: authority.cert, cert: client.cert, key: client.key })).toBe(200)
    await expect(via(gateway.url, { ca: authority.cert })).rejects.toThrow(/fetch failed/)
    const other = stranger.issue('client')
    await expect(via(gateway.url, { ca: authority.cert, cert: other.cert, key: other.key })).rejects.toThrow(/failed/)
    expect(up.requests).toHaveLength(1)
  })
})

describe('nginx as the peer', () => {
  it('ends TLS in front of an engine, and streams pass unbroken', async ({ skip }) => {
    const nginx = findNginx()
    if (nginx === undefined) return skip('nginx is not installed')
    const up = await upstream()
    const port = await freePort()
    const config = file(
      'nginx.conf',
      `daemon off; pid ${folder}/nginx.pid; error_log ${folder}/error.log;
events {}
http {
  access_log off; client_body_temp_path ${folder}/body; proxy_temp_path ${folder}/proxy;
  fastcgi_temp_path ${folder}/fastcgi; uwsgi_temp_path ${folder}/uwsgi; scgi_temp_path ${folder}/scgi;
  server {
    listen 127.0.0.1:${port} ssl;
    ssl_certificate ${folder}/server.pem; ssl_certificate_key ${folder}/server.key;
    ssl_client_certificate ${folder}/ca.pem; ssl_verify_client on;
    location / { proxy_pass ${up.url}; proxy_buffering off; }
  }
}`,
    )
    const child = spawn(nginx, ['-p', folder, '-c', path.join(folder, config)], { stdio: 'ignore' })
    closing.push(async () => {
      child.kill('SIGTERM')
      await new Promise((resolve) => child.once('exit', resolve))
    })
    const tls = `{ca: ${ca}, cert: {file: client.pem}, key: {file: client.key}}`
    const gateway = await serve(chat([`{url: "https://127.0.0.1:${port}", tls: ${tls}}`]))
    const giveUpAtMs = Date.now() + 20_000
    const attempt = async (): Promise<unknown> => {
      try {
        return await ask(gateway.url)
      } catch (error) {
        if (Date.now() > giveUpAtMs) throw error
        await new Promise((resolve) => setTimeout(resolve, 100))
        return await attempt()
      }
    }
    expect(await attempt()).toBe('w0 w1 w2 ')
  })
})

function findNginx(): string | undefined {
  return ['nginx', '/usr/sbin/nginx'].find((name) => {
    try {
      execFileSync(name, ['-v'], { stdio: 'ignore' })
      return true
    } catch {
      return false
    }
  })
}

async function freePort(): Promise<number> {
  const probe = createServer()
  await new Promise<void>((resolve) => probe.listen(0, '127.0.0.1', resolve))
  const address = probe.address()
  await new Promise((resolve) => probe.close(resolve))
  return typeof address === 'object' && address !== null ? address.port : 0
}
