import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { readCpuQuota } from './cpu-quota.ts'
import { findPackFolder, packNames } from './llama-packs.ts'

/** What this machine offers the embedded engine. */
export interface EngineMachine {
  readonly platform: string
  /** Cores that this process may use. */
  readonly cores: number
  readonly memoryBytes: number
  /** Packs of libllama for this platform in order of preference, and whether each is installed. */
  readonly packs: readonly { readonly name: string; readonly installed: boolean }[]
  /** The pack that is used; undefined where none is installed. */
  readonly pack: string | undefined
}

export function describeMachine(): EngineMachine {
  const from = path.dirname(fileURLToPath(import.meta.url))
  const folderOf = (): string | undefined => {
    try {
      return findPackFolder(from)
    } catch {
      return undefined
    }
  }
  const folder = folderOf()
  const names = packNames(process.platform, process.arch)
  const pack = names.find((name) => folder?.split(path.sep).includes(name))
  return {
    platform: `${process.platform}-${process.arch}`,
    cores: readCpuQuota(),
    memoryBytes: process.availableMemory(),
    packs: names.map((name) => ({ name: `@node-llama-cpp/${name}`, installed: isInstalled(name) })),
    pack: pack === undefined ? undefined : `@node-llama-cpp/${pack}`,
  }
}

function isInstalled(name: string): boolean {
  try {
    import.meta.resolve(`@node-llama-cpp/${name}`)
    return true
  } catch {
    return false
  }
}
