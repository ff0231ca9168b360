import { createHash, randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { parseHubReference } from './hub-reference.ts'
import { ModelStore } from './model-store.ts'
import type { DownloadSettings } from './range-download.ts'

const settings: DownloadSettings = { partBytes: 10_000, connections: 3, attempts: 3, stallMs: 300, retryMs: 1 }
const content = randomBytes(95_000)
const sha256 = createHash('sha256').update(content).digest('hex')

/** A hub on loopback: lists files, serves ranges, and misbehaves as told. */
interface Hub {
  readonly endpoint: string
  readonly ranges: string[]
  readonly tokens: (string | undefined)[]
  files: Record<string, { content: Buffer; sha256: string }>
  /** Called for each request of a file; true when it has answered itself. */
  misbehave: (request: IncomingMessage, response: ServerResponse, body: Buffer) => boolean
  close(): Promise<void>
}

async function startHub(): Promise<Hub> {
  const server: Server = createServer((request, response) => {
    const url = decodeURIComponent(request.url ?? '')
    hub.tokens.push(request.headers.authorization)
    if (url.startsWith('/api/models/')) {
      const entries = Object.entries(hub.files).map(([file, { content, sha256 }]) => ({
        type: 'file',
        path: file,
        size: content.length,
        oid: 'a',
        lfs: { oid: sha256, size: content.length, pointerSize: 130 },
      }))
      response.setHeader('content-type', 'application/json').end(JSON.stringify(entries))
      return
    }
    const file = hub.files[url.split('/resolve/main/')[1] ?? '']
    const [, first = '0', last = '0'] = /bytes=(\d+)-(\d+)/.exec(request.headers.range ?? '') ?? []
    if (file === undefined) {
      response.writeHead(404).end()
      return
    }
    hub.ranges.push(`${first}-${last}`)
    const body = file.content.subarray(Number(first), Number(last) + 1)
    if (hub.misbehave(request, response, body)) return
    response.writeHead(206, { 'content-range': `bytes ${first}-${last}/${file.content.length}` }).end(body)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const hub: Hub = {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    ranges: [],
    tokens: [],
    files: { 'model-Q4_K_M.gguf': { content, sha256 } },
    misbehave: () => false,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
  return hub
}

let folder = ''
let hub: Hub
let store: ModelStore
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'tokenmill-store-'))
  hub = await startHub()
  store = new ModelStore(folder, settings)
})
afterEach(async () => {
  await hub.close()
  await rm(folder, { recursive: true, force: true })
})

function pull(reference: string, more: { token?: string; offline?: boolean; signal?: AbortSignal } = {}) {
  const access = { endpoint: hub.endpoint, token: more.token, offline: more.offline ?? false }
  return store.pull(reference, access, () => undefined, more.signal ?? new AbortController().signal)
}

describe('parseHubReference', () => {
  it('reads owner, repository, file and revision', () => {
    expect(parseHubReference('hf:a/b')).toEqual({ owner: 'a', repository: 'b', file: undefined, revision: 'main' })
    expect(parseHubReference('hf:a/b-1.5:Q8_0@v2')).toEqual({
      owner: 'a',
      repository: 'b-1.5',
      file: 'Q8_0',
      revision: 'v2',
    })
  })

  it('refuses what is none, and what would leave the folder', () => {
    for (const text of ['a/b', 'hf:a', 'hf:../b', 'hf:a/b:../../x.gguf', 'hf:a/b@../x', 'hf:a/b:x@']) {
      expect(() => parseHubReference(text), text).toThrow(/names no model/)
    }
  })
})

describe('ModelStore.pull()', () => {
  it('fetches in parts over several connections, checks, and lists the file', async () => {
    const model = await pull('hf:owner/repo', { token: 'secret' })
    expect(await readFile(model.path)).toEqual(content)
    expect(hub.ranges).toHaveLength(10)
    expect(new Set(hub.tokens)).toEqual(new Set(['Bearer secret']))
    expect(store.list()).toEqual([
      { reference: 'hf:owner/repo:model-Q4_K_M.gguf@main', path: model.path, bytes: content.length, shards: 1 },
    ])
    // A second pull asks nobody.
    hub.ranges.length = 0
    expect((await pull('hf:owner/repo:q4_k_m')).path).toBe(model.path)
    expect(hub.ranges).toEqual([])
  })

  it('goes on behind the last byte when connections are cut', async () => {
    let cuts = 0
    hub.misbehave = (_request, response, body) => {
      if ((cuts += 1) % 2 === 0) return false
      response.writeHead(206, { 'content-length': body.length })
      response.write(body.subarray(0, Math.ceil(body.length / 2)), () => response.destroy())
      return true
    }
    const model = await pull('hf:owner/repo')
    expect(await readFile(model.path)).toEqual(content)
    expect(hub.ranges.some((range) => Number(range.split('-')[0]) % 10_000 !== 0)).toBe(true)
  })

  it('resumes a stopped download without fetching its complete parts again', async () => {
    const stop = new AbortController()
    hub.misbehave = () => {
      if (hub.ranges.length === 6) stop.abort(new Error('enough'))
      return false
    }
    await expect(pull('hf:owner/repo', { signal: stop.signal })).rejects.toMatchObject({ code: 'cancelled' })
    const fetched = hub.ranges.length
    hub.ranges.length = 0
    hub.misbehave = () => false
    const model = await pull('hf:owner/repo')
    expect(await readFile(model.path)).toEqual(content)
    expect(hub.ranges.length).toBeLessThan(10)
    expect(fetched).toBeLessThanOrEqual(8)
  })

  it('tries a stalled connection again', async () => {
    let stalls = 0
    hub.misbehave = (_request, response, body) => {
      if ((stalls += 1) > 2) return false
      response.writeHead(206, { 'content-length': body.length })
      response.write(body.subarray(0, 10))
      return true
    }
    expect(await readFile((await pull('hf:owner/repo')).path)).toEqual(content)
  })

  it('refuses a file with a wrong checksum, and keeps nothing of it', async () => {
    hub.files = { 'model.gguf': { content, sha256: sha256.replace(/^./, (first) => (first === '0' ? '1' : '0')) } }
    await expect(pull('hf:owner/repo')).rejects.toThrow(/SHA-256/)
    expect(store.list()).toEqual([])
    expect(existsSync(path.join(folder, 'owner/repo/main/model.gguf.part'))).toBe(false)
  })

  it('gives up on what no attempt mends, and after attempts without a byte', async () => {
    hub.misbehave = (_request, response) => {
      response.writeHead(403).end()
      return true
    }
    await expect(pull('hf:owner/repo')).rejects.toMatchObject({
      code: 'upstream_failed',
      details: { upstreamStatus: 403 },
    })
    hub.misbehave = (_request, response) => {
      response.writeHead(503).end()
      return true
    }
    await expect(pull('hf:owner/repo')).rejects.toMatchObject({ details: { upstreamStatus: 503 } })
  })

  it('says how much room is missing on a full disk', async () => {
    hub.files = { 'huge.gguf': { content, sha256 } }
    const { downloadInParts } = await import('./range-download.ts')
    const request = {
      url: hub.endpoint,
      headers: {},
      bytes: 2 ** 50,
      sha256,
      target: path.join(folder, 'x'),
      onProgress: () => undefined,
    }
    await expect(
      downloadInParts(request, new AbortController().signal, { ...settings, partBytes: 2 ** 45 }),
    ).rejects.toThrow(/needs .* more; .* free/)
  })

  it('fetches all shards of a split model, and removes them together', async () => {
    const half = {
      content: content.subarray(0, 20_000),
      sha256: createHash('sha256').update(content.subarray(0, 20_000)).digest('hex'),
    }
    hub.files = { 'big-Q8_0-00001-of-00002.gguf': half, 'big-Q8_0-00002-of-00002.gguf': half, 'mmproj-x.gguf': half }
    const model = await pull('hf:owner/repo')
    expect(model).toMatchObject({ shards: 2, bytes: 40_000 })
    expect(path.basename(model.path)).toBe('big-Q8_0-00001-of-00002.gguf')
    expect(store.list()).toMatchObject([{ shards: 2, bytes: 40_000 }])
    await store.remove('hf:owner/repo')
    expect(store.list()).toEqual([])
  })

  it('names the files there are where the reference fits none, and fetches nothing when offline', async () => {
    await expect(pull('hf:owner/repo:Q8_0')).rejects.toThrow(/model-Q4_K_M\.gguf/)
    await expect(pull('hf:owner/repo', { offline: true })).rejects.toThrow(/offline/)
    await pull('hf:owner/repo')
    expect((await pull('hf:owner/repo', { offline: true })).bytes).toBe(content.length)
  })
})
