import { createHash, randomBytes } from 'node:crypto'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import type * as FilePromises from 'node:fs/promises'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { downloadInParts, type DownloadSettings } from './range-download.ts'

/** Bytes that the disk still takes; the write that passes it fails as the kernel's does. */
const disk = vi.hoisted(() => ({ room: Infinity }))

vi.mock('node:fs/promises', async (original) => {
  const real = await original<typeof FilePromises>()
  const full = () => Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' })
  const take = (bytes: number): void => {
    if (bytes > disk.room) throw full()
    disk.room -= bytes
  }
  return {
    ...real,
    async open(...parameters: Parameters<typeof real.open>) {
      const file = await real.open(...parameters)
      const write = file.write.bind(file)
      return Object.assign(file, {
        async write(bytes: Uint8Array, offset: number, length: number, position: number) {
          take(length)
          return await write(bytes, offset, length, position)
        },
      })
    },
    async writeFile(target: string, data: string) {
      take(data.length)
      await real.writeFile(target, data)
    },
  }
})

const settings: DownloadSettings = { partBytes: 10_000, connections: 2, attempts: 3, stallMs: 5000, retryMs: 1 }
const content = randomBytes(95_000)
const sha256 = createHash('sha256').update(content).digest('hex')
let folder = ''
let server: Server
let served = 0

beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'tokenmill-full-'))
  served = 0
  server = createServer((request, response) => {
    const [, first = '0', last = '0'] = /bytes=(\d+)-(\d+)/.exec(request.headers.range ?? '') ?? []
    const body = content.subarray(Number(first), Number(last) + 1)
    served += body.length
    response.writeHead(206, { 'content-range': `bytes ${first}-${last}/${content.length}` }).end(body)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
})

afterEach(async () => {
  disk.room = Infinity
  await new Promise((resolve) => server.close(resolve))
  await rm(folder, { recursive: true, force: true })
})

function download(): Promise<void> {
  const { port } = server.address() as AddressInfo
  const request = {
    url: `http://127.0.0.1:${port}/model.gguf`,
    headers: {},
    bytes: content.length,
    sha256,
    target: path.join(folder, 'model.gguf'),
    onProgress: () => undefined,
  }
  return downloadInParts(request, new AbortController().signal, settings)
}

describe('a disk that fills up during a download', () => {
  for (const room of [0, 31_000, 55_500]) {
    it(`says so, keeps what is complete, and resumes once there is room (${room} bytes to go)`, async () => {
      disk.room = room
      await expect(download()).rejects.toMatchObject({
        code: 'unavailable',
        message: expect.stringMatching(/disk is full at .*model\.gguf.*pull again; it resumes/i),
      })
      await expect(readFile(path.join(folder, 'model.gguf'))).rejects.toThrow(/ENOENT/)
      const before = served
      disk.room = Infinity
      await download()
      expect(await readFile(path.join(folder, 'model.gguf'))).toEqual(content)
      // Complete parts are not fetched again; the records of progress take a little of the room.
      const kept = Math.max(0, Math.floor(room / 10_000) - 2)
      expect(served - before).toBeLessThanOrEqual(content.length - kept * 10_000)
    })
  }
})
