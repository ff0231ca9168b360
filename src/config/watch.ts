import { readFileSync, watch as watchFolder, type FSWatcher } from 'node:fs'
import path from 'node:path'
import { toTokenmillError, type Clock, type TokenmillError } from '../core/index.ts'
import { loadConfig, type LoadedConfig } from './load.ts'

export interface ConfigWatchSettings {
  readonly file: string
  readonly env: Readonly<Record<string, string | undefined>>
  readonly clock: Clock
  readonly onChange: (config: LoadedConfig) => void
  /** The file is broken now: the old configuration stays in force. */
  readonly onError: (error: TokenmillError) => void
}

/** Editors write in several steps; what stands still this long is complete. */
const settleMs = 100
/** File systems over a network tell nobody of changes: look there this often. */
const pollMs = 5_000

/**
 * Reads the configuration again when its file or one of its secrets' files changes, and when asked (SIGHUP). Watches
 * folders, not files: editors and Kubernetes replace files by renaming. A text that was already read is not read twice.
 */
export class ConfigWatch {
  readonly #settings: ConfigWatchSettings
  #watchers: FSWatcher[] = []
  #files: readonly string[] = []
  #seen: string
  #cancelSettle: () => void = () => undefined
  #cancelPoll: () => void = () => undefined
  #closed = false

  constructor(settings: ConfigWatchSettings, current: LoadedConfig) {
    this.#settings = settings
    this.#files = [settings.file, ...current.secretFiles]
    this.#seen = this.#read()
    this.#watch()
    this.#poll()
  }

  /** Reads the file now, changed or not: for SIGHUP. */
  reload(): void {
    this.#seen = this.#read()
    let config: LoadedConfig
    try {
      config = loadConfig(this.#settings.file, this.#settings.env)
    } catch (error) {
      this.#settings.onError(toTokenmillError(error))
      return
    }
    this.#files = [this.#settings.file, ...config.secretFiles]
    this.#watch()
    this.#settings.onChange(config)
  }

  close(): void {
    this.#closed = true
    this.#cancelSettle()
    this.#cancelPoll()
    for (const watcher of this.#watchers) watcher.close()
    this.#watchers = []
  }

  #watch(): void {
    for (const watcher of this.#watchers) watcher.close()
    const folders = new Set(this.#files.map((file) => path.dirname(path.resolve(file))))
    this.#watchers = [...folders].flatMap((folder) => {
      try {
        const watcher = watchFolder(folder, { persistent: false }, () => this.#changed())
        watcher.on('error', () => watcher.close())
        return [watcher]
      } catch {
        // Not every file system can be watched; polling sees its changes a little later.
        return []
      }
    })
  }

  #changed(): void {
    this.#cancelSettle()
    if (this.#closed) return
    this.#cancelSettle = this.#settings.clock.schedule(settleMs, () => {
      if (this.#read() !== this.#seen) this.reload()
    })
  }

  #poll(): void {
    this.#cancelPoll = this.#settings.clock.schedule(pollMs, () => {
      if (this.#read() !== this.#seen) this.#changed()
      this.#poll()
    })
  }

  /** Everything that the configuration is made of, as one text. */
  #read(): string {
    return this.#files
      .map((file) => {
        try {
          return readFileSync(file, 'utf8')
        } catch {
          return ''
        }
      })
      .join('\0')
  }
}
