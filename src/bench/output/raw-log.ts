import { createWriteStream, type WriteStream } from 'node:fs'
import { measure } from '../metrics/measures.ts'
import type { RequestRecord } from '../metrics/record.ts'

/** Unwritten bytes beyond which the log gives up: a disk that does not keep up must not fill memory. */
const maxUnwrittenBytes = 256 * 1024 ** 2

/** Writes every request as a line of JSON. A failing disk ends the log, not the run; `close` tells. */
export class RawLog {
  readonly #stream: WriteStream
  #problem: string | undefined
  #lines = 0

  constructor(file: string) {
    this.#stream = createWriteStream(file, { highWaterMark: 1 << 20 })
    this.#stream.on('error', (error) => {
      this.#problem ??= `${file}: ${error.message}; ${this.#lines} requests were written before.`
    })
  }

  write(label: string, record: RequestRecord): void {
    if (this.#problem !== undefined) return
    if (this.#stream.writableLength > maxUnwrittenBytes) {
      this.#problem = `The disk did not keep up: ${this.#lines} requests were written.`
      this.#stream.destroy()
      return
    }
    this.#lines += 1
    this.#stream.write(`${JSON.stringify(toRawLine(label, record))}\n`)
  }

  /** Resolves to what went wrong, if anything. */
  async close(): Promise<string | undefined> {
    if (!this.#stream.destroyed) {
      await new Promise<void>((resolve) => {
        this.#stream.once('close', resolve)
        this.#stream.end()
      })
    }
    return this.#problem
  }
}

/** The record with its measures, times rounded to a microsecond. */
export function toRawLine(label: string, record: RequestRecord): object {
  const { chunksMs, ...rest } = record
  const round = (value: unknown): unknown => (typeof value === 'number' ? Math.round(value * 1000) / 1000 : value)
  const rounded = Object.fromEntries(Object.entries(rest).map(([key, value]) => [key, round(value)]))
  const measures = record.outcome === 'ok' ? measure(record) : {}
  const times = Object.fromEntries(Object.entries(measures).map(([key, value]) => [key, round(value)]))
  return {
    run: label,
    ...rounded,
    ...times,
    chunksMs: Array.from(chunksMs, (value) => Math.round(value * 1000) / 1000),
  }
}
