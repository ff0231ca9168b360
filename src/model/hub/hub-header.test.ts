import { mkdtemp, readFile, rm, stat } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { readGgufMetadata } from '../gguf-metadata.ts'
import { fetchHubHeader } from './hub-header.ts'

const signal = new AbortController().signal
let server: Server
let folder: string
let endpoint: string
let sent = 0
const files = new Map<string, Buffer>()

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'hub-header-'))
  const nano = await readFile(path.resolve(import.meta.dirname, '../../../models/nano/nano.gguf'))
  // The weights of a much larger model.
  files.set('whole.gguf', Buffer.concat([nano, Buffer.alloc(40 * 1024 ** 2)]))
  files.set('truncated.gguf', nano.subarray(0, 100_000))
  files.set('nonsense.gguf', Buffer.from('<html>not found</html>'.repeat(100)))
  server = createServer((request, response) => {
    const url = decodeURIComponent(request.url ?? '')
    if (url.startsWith('/api/models/')) {
      const list = [...files].map(([name, { length }]) => ({ type: 'file', path: name, size: length, oid: 'a' }))
      return response.setHeader('content-type', 'application/json').end(JSON.stringify(list))
    }
    const content = files.get(url.split('/resolve/main/')[1] ?? '')
    const [, first = '0', last = '0'] = /bytes=(\d+)-(\d+)/.exec(request.headers.range ?? '') ?? []
    if (content === undefined) return response.writeHead(404).end()
    const body = content.subarray(Number(first), Number(last) + 1)
    sent += body.length
    return response.writeHead(206).end(body)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
})
afterAll(async () => {
  server.close()
  await rm(folder, { recursive: true, force: true })
})

const fetchHeader = (file: string) =>
  fetchHubHeader(`hf:owner/repo:${file}`, { endpoint, token: undefined, offline: false }, folder, signal)

describe('fetchHubHeader()', () => {
  it('gives a file of the true length with the header in it, and fetches no more than that takes', async () => {
    const file = await fetchHeader('whole.gguf')
    expect(readGgufMetadata(file)).toMatchObject({ architecture: 'llama', contextTokens: 2048 })
    expect((await stat(file)).size).toBe(files.get('whole.gguf')?.length)
    expect(sent).toBeLessThanOrEqual(8 * 1024 ** 2)
  })

  it('says of a truncated file and of one that is none what is wrong, by the reference', async () => {
    await expect(fetchHeader('truncated.gguf')).rejects.toThrow(/hf:owner\/repo:truncated\.gguf is no usable GGUF/)
    await expect(fetchHeader('nonsense.gguf')).rejects.toThrow(
      /hf:owner\/repo:nonsense\.gguf is no usable GGUF: it does not begin/,
    )
  })
})
