import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { mkdir, open, readFile, rename, rm, statfs, writeFile, type FileHandle } from 'node:fs/promises'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { formatBytes, TokenmillError } from '../../core/index.ts'
import { modelOptions } from '../options.ts'

export interface DownloadRequest {
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly bytes: number
  readonly sha256: string | undefined
  readonly target: string
  /** Called with the bytes that are there so far, those of an earlier attempt included. */
  readonly onProgress: (bytes: number) => void
}

export interface DownloadSettings {
  readonly partBytes: number
  readonly connections: number
  /** Failures in a row, without a byte in between, after which a part is given up. */
  readonly attempts: number
  readonly stallMs: number
  readonly retryMs: number
}

export const downloadSettings: DownloadSettings = {
  partBytes: modelOptions.downloadPartBytes.default,
  connections: modelOptions.downloadConnections.default,
  attempts: modelOptions.downloadAttempts.default,
  stallMs: modelOptions.downloadStallMs.default,
  retryMs: 500,
}

/**
 * Fetches a file in parts, several at a time, and resumes where an earlier attempt ended:
 *
 *   target.part        the whole length from the start, parts filled in any order
 *   target.part.json   which parts are complete, and of what
 *   target             appears once all parts are there and the checksum is right
 *
 * Throws `upstream_failed` when the other end fails for good, `unavailable` for a full disk; both keep what is there.
 * A wrong checksum throws and keeps nothing.
 */
export async function downloadInParts(
  request: DownloadRequest,
  signal: AbortSignal,
  settings: DownloadSettings = downloadSettings,
): Promise<void> {
  const { target, bytes } = request
  await mkdir(path.dirname(target), { recursive: true })
  const progress = await Progress.load(request, settings)
  await requireRoom(target, bytes - progress.bytes)
  const file = await open(`${target}.part`, progress.bytes > 0 ? 'r+' : 'w')
  const failure = new AbortController()
  const stop = AbortSignal.any([signal, failure.signal])
  try {
    await file.truncate(bytes)
    request.onProgress(progress.bytes)
    const todo = progress.missing()
    const work = async (): Promise<void> => {
      for (let part = todo.shift(); part !== undefined; part = todo.shift()) {
        await fetchPart(request, settings, file, part, progress, stop)
        await progress.complete(part)
      }
    }
    // The first failure stops the others, and is the one that is told.
    const workers = Array.from({ length: settings.connections }, () =>
      work().catch((error: unknown) => {
        failure.abort(error)
        throw error
      }),
    )
    const ends = await Promise.allSettled(workers)
    if (signal.aborted) throw new TokenmillError('cancelled', `The download of ${target} was stopped; it resumes.`)
    if (failure.signal.aborted) throw toDownloadError(failure.signal.reason, target)
    const rejected = ends.find((end) => end.status === 'rejected')
    if (rejected !== undefined) throw toDownloadError(rejected.reason, target)
    await file.sync()
  } finally {
    await file.close()
  }
  await verify(request)
  await rename(`${target}.part`, target)
  await rm(`${target}.part.json`, { force: true })
}

interface Part {
  readonly index: number
  readonly first: number
  /** The last byte, inclusive, as HTTP counts. */
  readonly last: number
}

/** One part, over as many connections as it takes; bytes that came stay. */
async function fetchPart(
  request: DownloadRequest,
  settings: DownloadSettings,
  file: FileHandle,
  part: Part,
  progress: Progress,
  signal: AbortSignal,
): Promise<void> {
  let next = part.first
  let failures = 0
  while (next <= part.last) {
    signal.throwIfAborted()
    const before = next
    try {
      for await (const chunk of readRange(request, next, part.last, settings.stallMs, signal)) {
        const length = Math.min(chunk.length, part.last - next + 1)
        await file.write(chunk, 0, length, next)
        next += length
        progress.add(length)
        if (next > part.last) return
      }
      throw new Error('the connection ended early')
    } catch (error) {
      if (signal.aborted || isFinal(error)) throw error
      failures = next > before ? 0 : failures + 1
      if (failures >= settings.attempts) throw error
      await sleep(settings.retryMs * 2 ** failures, undefined, { signal })
    }
  }
}

async function* readRange(
  request: DownloadRequest,
  first: number,
  last: number,
  stallMs: number,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array, void> {
  const stalled = new AbortController()
  let timer = setTimeout(() => stalled.abort(new Error(`no byte came for ${stallMs} ms`)), stallMs)
  try {
    const response = await fetch(request.url, {
      headers: { ...request.headers, range: `bytes=${first}-${last}` },
      signal: AbortSignal.any([signal, stalled.signal]),
    })
    if (response.status !== 206 && !(response.status === 200 && first === 0)) {
      await response.body?.cancel()
      const permanent = response.status < 500 && response.status !== 429 && response.status !== 408
      const text = response.status === 200 ? 'the server gives no ranges' : `HTTP status ${response.status}`
      throw new TokenmillError(permanent ? 'upstream_failed' : 'upstream_timeout', `${request.url}: ${text}`, {
        upstreamStatus: response.status,
      })
    }
    const range = /^bytes (\d+)-/.exec(response.headers.get('content-range') ?? '')
    if (range !== null && Number(range[1]) !== first) throw new Error('the server answers with another range')
    for await (const chunk of response.body ?? []) {
      clearTimeout(timer)
      yield chunk as Uint8Array
      timer = setTimeout(() => stalled.abort(new Error(`no byte came for ${stallMs} ms`)), stallMs)
    }
  } finally {
    clearTimeout(timer)
  }
}

/** What no further attempt would mend. */
function isFinal(error: unknown): boolean {
  if (error instanceof TokenmillError) return error.code === 'upstream_failed'
  return codeOf(error) !== undefined && ['ENOSPC', 'EDQUOT', 'EROFS', 'EACCES', 'EIO'].includes(codeOf(error) ?? '')
}

function codeOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined
}

function toDownloadError(error: unknown, target: string): TokenmillError {
  if (error instanceof TokenmillError) return error
  const reason = error instanceof Error ? error.message : String(error)
  const full = ['ENOSPC', 'EDQUOT'].includes(codeOf(error) ?? '')
  return full
    ? new TokenmillError(
        'unavailable',
        `The disk is full at ${target}: ${reason}. Free some room and pull again; it resumes.`,
        {},
        error,
      )
    : new TokenmillError(
        'upstream_failed',
        `The download of ${path.basename(target)} failed: ${reason}. Pull again; it resumes.`,
        {},
        error,
      )
}

async function requireRoom(target: string, neededBytes: number): Promise<void> {
  const { bavail, bsize } = await statfs(path.dirname(target))
  const free = bavail * bsize
  if (neededBytes <= free) return
  throw new TokenmillError(
    'unavailable',
    `${path.basename(target)} needs ${formatBytes(neededBytes)} more; ${path.dirname(target)} has ${formatBytes(free)} free. Free some room, or set TOKENMILL_CACHE.`,
  )
}

async function verify({ target, sha256 }: DownloadRequest): Promise<void> {
  if (sha256 === undefined) return
  const hash = createHash('sha256')
  for await (const chunk of createReadStream(`${target}.part`, { highWaterMark: 1024 * 1024 }))
    hash.update(chunk as Buffer)
  const actual = hash.digest('hex')
  if (actual === sha256) return
  await rm(`${target}.part`, { force: true })
  await rm(`${target}.part.json`, { force: true })
  throw new TokenmillError(
    'upstream_failed',
    `${path.basename(target)} has the SHA-256 ${actual}; the hub says ${sha256}. The file was removed: pull again.`,
  )
}

/** Which parts are there. The record on disk follows each completed part; bytes of incomplete ones come again. */
class Progress {
  bytes: number
  readonly #request: DownloadRequest
  readonly #partBytes: number
  readonly #done: Set<number>
  #writing: Promise<void> = Promise.resolve()

  private constructor(request: DownloadRequest, partBytes: number, done: readonly number[]) {
    this.#request = request
    this.#partBytes = partBytes
    this.#done = new Set(done)
    this.bytes = this.#parts().reduce(
      (sum, { index, first, last }) => sum + (this.#done.has(index) ? last - first + 1 : 0),
      0,
    )
  }

  static async load(request: DownloadRequest, settings: DownloadSettings): Promise<Progress> {
    const identity = identityOf(request, settings.partBytes)
    try {
      await (await open(`${request.target}.part`, 'r')).close()
      const saved = JSON.parse(await readFile(`${request.target}.part.json`, 'utf8')) as {
        identity?: unknown
        done?: unknown
      }
      const done = Array.isArray(saved.done) ? saved.done.filter((part) => Number.isInteger(part)) : []
      return new Progress(request, settings.partBytes, saved.identity === identity ? (done as number[]) : [])
    } catch {
      return new Progress(request, settings.partBytes, [])
    }
  }

  missing(): Part[] {
    return this.#parts().filter(({ index }) => !this.#done.has(index))
  }

  add(bytes: number): void {
    this.bytes += bytes
    this.#request.onProgress(this.bytes)
  }

  async complete({ index }: Part): Promise<void> {
    this.#done.add(index)
    const record = JSON.stringify({ identity: identityOf(this.#request, this.#partBytes), done: [...this.#done] })
    const file = `${this.#request.target}.part.json`
    this.#writing = this.#writing.then(async () => {
      await writeFile(`${file}.new`, record)
      await rename(`${file}.new`, file)
    })
    await this.#writing
  }

  #parts(): Part[] {
    const { bytes } = this.#request
    return Array.from({ length: Math.ceil(bytes / this.#partBytes) }, (_, index) => ({
      index,
      first: index * this.#partBytes,
      last: Math.min(bytes, (index + 1) * this.#partBytes) - 1,
    }))
  }
}

function identityOf({ bytes, sha256 }: DownloadRequest, partBytes: number): string {
  return `${sha256 ?? ''} ${bytes} ${partBytes}`
}
