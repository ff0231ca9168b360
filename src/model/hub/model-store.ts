import { existsSync, globSync, statSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import path from 'node:path'
import { TokenmillError } from '../../core/index.ts'
import { findHubFiles, shardOf, type HubAccess } from './hub-files.ts'
import { hubFileUrl, isHubReference, parseHubReference, type HubReference } from './hub-reference.ts'
import { downloadInParts, downloadSettings, type DownloadSettings } from './range-download.ts'

/** A model file that is on this machine. */
export interface StoredModel {
  /** `hf:owner/repository:file@revision` */
  readonly reference: string
  /** Of the first shard. */
  readonly path: string
  readonly bytes: number
  readonly shards: number
}

/**
 * Models fetched from hubs, in one folder:
 *
 *   folder/owner/repository/revision/path-in-repository.gguf
 *
 * What ends in `.gguf` is complete and checked; `.part` files are downloads that will resume.
 */
export class ModelStore {
  readonly folder: string
  readonly #settings: DownloadSettings

  constructor(folder: string, settings: DownloadSettings = downloadSettings) {
    this.folder = folder
    this.#settings = settings
  }

  list(): readonly StoredModel[] {
    const files = globSync('*/*/*/**/*.gguf', { cwd: this.folder }).sort()
    return files.flatMap((file) => {
      const shard = shardOf(file)
      if (shard !== undefined && shard.index !== 1) return []
      const parts = shard === undefined ? [file] : files.filter((other) => shardOf(other)?.stem === shard.stem)
      if (shard !== undefined && parts.length < shard.count) return []
      const [owner = '', repository = '', revision = '', ...rest] = file.split(path.sep)
      return [
        {
          reference: `hf:${owner}/${repository}:${rest.join('/')}@${revision.replaceAll('--', '/')}`,
          path: path.join(this.folder, file),
          bytes: parts.reduce((sum, part) => sum + statSync(path.join(this.folder, part)).size, 0),
          shards: parts.length,
        },
      ]
    })
  }

  /** The stored model that the reference, or the path, means; undefined where there is none. */
  find(text: string): StoredModel | undefined {
    if (!isHubReference(text)) return undefined
    const { owner, repository, file, revision } = parseHubReference(text)
    const within = `hf:${owner}/${repository}:`
    const matches = this.list().filter(
      ({ reference }) => reference.startsWith(within) && reference.endsWith(`@${revision}`),
    )
    if (file === undefined) return matches[0]
    const wanted = file.toLowerCase()
    return matches.find(({ reference }) => reference.slice(within.length).toLowerCase().includes(wanted))
  }

  /**
   * Fetches the model unless it is there, and gives the path of its first shard. Throws `not_found`,
   * `upstream_failed`, `unavailable`, `cancelled`; whatever has come by then is kept for the next attempt.
   */
  async pull(
    text: string,
    access: HubAccess,
    onProgress: (file: string, bytes: number, total: number) => void,
    signal: AbortSignal,
  ): Promise<StoredModel> {
    const known = this.find(text)
    if (known !== undefined) return known
    const reference = parseHubReference(text)
    if (access.offline) {
      throw new TokenmillError(
        'not_found',
        `${text} is not on this machine, and offline mode fetches nothing. Have it pulled first.`,
        {
          available: this.list().map((model) => model.reference),
        },
      )
    }
    const files = await findHubFiles(reference, access, signal)
    const total = files.reduce((sum, { bytes }) => sum + bytes, 0)
    let before = 0
    for (const file of files) {
      const target = this.#pathOf(reference, file.path)
      if (!existsSync(target)) {
        const sofar = before
        await downloadInParts(
          {
            url: hubFileUrl(reference, file.path, access.endpoint),
            headers: access.token === undefined ? {} : { authorization: `Bearer ${access.token}` },
            bytes: file.bytes,
            sha256: file.sha256,
            target,
            onProgress: (bytes) => onProgress(file.path, sofar + bytes, total),
          },
          signal,
          this.#settings,
        )
      }
      before += file.bytes
    }
    const first = files[0]?.path ?? ''
    return { reference: text, path: this.#pathOf(reference, first), bytes: total, shards: files.length }
  }

  /** Removes a stored model with all its shards. Throws `not_found`. */
  async remove(text: string): Promise<StoredModel> {
    const model = this.find(text)
    if (model === undefined) {
      throw new TokenmillError('not_found', `${text} is not on this machine.`, {
        available: this.list().map(({ reference }) => reference),
      })
    }
    const shard = shardOf(model.path)
    const files = shard === undefined ? [model.path] : globSync(`${shard.stem}-*-of-*.gguf`)
    for (const file of files) await rm(file, { force: true })
    return model
  }

  #pathOf({ owner, repository, revision }: HubReference, file: string): string {
    return path.join(this.folder, owner, repository, revision.replaceAll('/', '--'), ...file.split('/'))
  }
}
