import { closeSync, fstatSync, openSync, readSync } from 'node:fs'
import { limitError, TokenmillError } from '../core/index.ts'
import { modelOptions } from './options.ts'

/**
 * Reads the header of a GGUF file forwards through one window of bounded size, so that nothing in the file can make
 * it allocate more than the file really holds, or more than `maxMetadataBytes`.
 *
 *   file    |── consumed ──|── window ───────|── not yet read ──…
 *                          ^ position
 *
 * Owns the file descriptor: `close` it, or use `using`.
 */
export class GgufCursor {
  readonly path: string
  readonly fileBytes: number
  readonly #descriptor: number
  #window = Buffer.alloc(0)
  #windowStart = 0
  #position = 0

  constructor(path: string) {
    this.path = path
    try {
      this.#descriptor = openSync(path, 'r')
    } catch (error) {
      const missing = error instanceof Error && 'code' in error && error.code === 'ENOENT'
      const reason = error instanceof Error ? error.message : String(error)
      const text = missing
        ? `Model file ${path} cannot be opened: there is no such file. Give the path of a GGUF file, or hf:owner/repository.`
        : `Model file ${path} cannot be opened: ${reason}`
      throw new TokenmillError('startup', text, {}, error)
    }
    const stats = fstatSync(this.#descriptor)
    this.fileBytes = stats.size
    if (stats.isFile()) return
    closeSync(this.#descriptor)
    const kind = stats.isDirectory() ? 'a folder' : 'no regular file'
    throw new TokenmillError('startup', `Model file ${path} is ${kind}. Give the path of a GGUF file.`)
  }

  [Symbol.dispose](): void {
    closeSync(this.#descriptor)
  }

  /** Bytes from the start of the file. */
  get position(): number {
    return this.#position
  }

  seek(position: number): void {
    this.#position = position
  }

  /** The error for whatever is wrong with the file, with the place where it was found. */
  fault(what: string): TokenmillError {
    return new TokenmillError(
      'startup',
      `Model file ${this.path} is no usable GGUF: ${what} (at byte ${this.#position} of ${this.fileBytes}). Fetch the file again.`,
    )
  }

  u8(what: string): number {
    return this.#take(1, what).readUInt8()
  }

  u32(what: string): number {
    return this.#take(4, what).readUInt32LE()
  }

  /** An unsigned 64-bit count or offset; beyond 2⁵³ it can only be damage. */
  u64(what: string): number {
    const value = this.#take(8, what).readBigUInt64LE()
    if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw this.fault(`${what} is ${value}`)
    return Number(value)
  }

  string(what: string): string {
    const bytes = this.u64(`the length of ${what}`)
    return this.#take(bytes, what).toString('utf8')
  }

  bytes(count: number, what: string): Buffer {
    return this.#take(count, what)
  }

  skip(count: number, what: string): void {
    this.#require(count, what)
    this.#position += count
  }

  skipString(what: string): void {
    this.skip(this.u64(`the length of ${what}`), what)
  }

  /** Checks that `count` things of at least `eachBytes` can still come, before anybody loops over them. */
  requireRoom(count: number, eachBytes: number, what: string): void {
    if (count * eachBytes > this.fileBytes - this.#position) {
      throw this.fault(`it announces ${count} ${what}, and only ${this.fileBytes - this.#position} bytes follow`)
    }
  }

  #require(count: number, what: string): void {
    if (this.#position + count > this.fileBytes) throw this.fault(`the file ends inside ${what}`)
    const maximum = modelOptions.maxMetadataBytes.default
    if (this.#position + count > maximum) {
      throw limitError(
        { name: 'maxMetadataBytes', maximum, unit: 'bytes' },
        this.#position + count,
        `The header of ${this.path}`,
        'Fetch the file again, or use another one.',
      )
    }
  }

  /** The next bytes, valid until the next call. */
  #take(count: number, what: string): Buffer {
    this.#require(count, what)
    const start = this.#position - this.#windowStart
    if (start < 0 || start + count > this.#window.length) this.#fill(Math.max(count, windowBytes))
    const at = this.#position - this.#windowStart
    const taken = this.#window.subarray(at, at + count)
    if (taken.length < count) throw this.fault(`the file ends inside ${what}`)
    this.#position += count
    return taken
  }

  #fill(bytes: number): void {
    const window = Buffer.allocUnsafe(Math.min(bytes, this.fileBytes - this.#position))
    let filled = 0
    while (filled < window.length) {
      const read = readSync(this.#descriptor, window, filled, window.length - filled, this.#position + filled)
      if (read === 0) break
      filled += read
    }
    this.#window = window.subarray(0, filled)
    this.#windowStart = this.#position
  }
}

const windowBytes = 1024 * 1024
