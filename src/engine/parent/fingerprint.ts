import { createHash } from 'node:crypto'
import { readFileSync, readdirSync, statSync } from 'node:fs'
import path from 'node:path'
import type { EmbeddedEngineConfig } from './engine-config.ts'
import { engineOptions } from '../options.ts'

/** Equal for the same files of model and adapters (by name and size), build of Tokenmill and libllama, and settings of the engine. */
export function fingerprintOf({ modelPath, adapters, options, libraryFolder }: EmbeddedEngineConfig): string {
  const fileOf = (file: string) => [path.basename(file), statSync(file).size]
  const { version } = JSON.parse(readFileSync(new URL('../../../package.json', import.meta.url), 'utf8')) as {
    version: string
  }
  const facts = [
    fileOf(modelPath),
    adapters.map(({ name, path: file, scale }) => [name, fileOf(file), scale]),
    version,
    readdirSync(libraryFolder).toSorted(),
    Object.entries(options)
      .filter(([name]) => name in engineOptions)
      .toSorted(([one], [other]) => (one < other ? -1 : 1)),
  ]
  return `fp_${createHash('sha256').update(JSON.stringify(facts)).digest('hex').slice(0, 10)}`
}
