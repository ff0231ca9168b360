import { existsSync, readdirSync } from 'node:fs'
import path from 'node:path'
import koffi from 'koffi'
import { TokenmillError } from '../../core/index.ts'
import { bindFunctions, checkAbi, declareStructs, type AbiTable, type NativeFunctions } from './abi.ts'
import { abiV050 } from './abi-v0.5.0.ts'

/** libllama and libggml, loaded into this process, with their interface checked. */
export interface NativeLibrary {
  readonly abi: AbiTable
  readonly llama: NativeFunctions
  readonly ggml: NativeFunctions
  /** Folder of the shared libraries. */
  readonly folder: string
}

const abiTables: readonly AbiTable[] = [abiV050]

/** Packs in order of preference: an installed GPU pack was installed for a reason. */
export function packNames(platform: string, arch: string): readonly string[] {
  if (platform === 'linux') {
    const gpu = arch === 'x64' ? [`linux-x64-cuda`, `linux-x64-vulkan`] : []
    return [...gpu, `linux-${arch}`]
  }
  if (platform === 'darwin') return [arch === 'arm64' ? 'mac-arm64-metal' : 'mac-x64']
  if (platform === 'win32') return [...(arch === 'x64' ? ['win-x64-cuda', 'win-x64-vulkan'] : []), `win-${arch}`]
  return []
}

/**
 * Folder of the shared libraries in the first installed pack for this platform, looked for in every `node_modules`
 * from `from` upwards. Throws `startup` where there is none.
 */
export function findPackFolder(from: string, platform: string = process.platform, arch: string = process.arch): string {
  const names = packNames(platform, arch)
  for (const name of names) {
    for (let folder = from; ; folder = path.dirname(folder)) {
      const bins = path.join(folder, 'node_modules', '@node-llama-cpp', name, 'bins')
      if (existsSync(bins)) {
        const variant = readdirSync(bins).find((entry) => !entry.startsWith('_'))
        if (variant !== undefined) return path.join(bins, variant)
      }
      if (path.dirname(folder) === folder) break
    }
  }
  throw new TokenmillError(
    'startup',
    `No llama.cpp libraries for ${platform}-${arch} are installed. Run 'npm install' with optional dependencies, or install one of: ` +
      `${names.map((name) => `@node-llama-cpp/${name}`).join(', ') || '(none exist for this platform)'}.`,
  )
}

/** Loads the libraries and every backend beside them, and checks the interface. Throws `startup`. Once per process. */
export function loadLibrary(folder: string): NativeLibrary {
  const files = readdirSync(folder)
  const abi = abiTables.find((table) => files.some((file) => isLibrary(file, 'llama', table.version)))
  const llamaFile = files.find((file) => abi !== undefined && isLibrary(file, 'llama', abi.version))
  const ggmlFile = files.find((file) => abi !== undefined && isLibrary(file, 'ggml', abi.version))
  if (abi === undefined || llamaFile === undefined || ggmlFile === undefined) {
    throw new TokenmillError(
      'startup',
      `${folder} holds no libllama of a known release (${abiTables.map((table) => table.version).join(', ')}); it holds: ${files.join(', ')}.`,
    )
  }
  declareStructs(abi)
  const ggml = bindFunctions(koffi.load(path.join(folder, ggmlFile)), abi.ggml)
  const llama = bindFunctions(koffi.load(path.join(folder, llamaFile)), abi.llama)
  checkAbi(abi, llama)
  ggml['ggml_backend_load_all_from_path']?.(folder)
  llama['llama_backend_init']?.()
  return { abi, llama, ggml, folder }
}

function isLibrary(file: string, name: 'llama' | 'ggml', version: string): boolean {
  return [`lib${name}.${version}.so`, `lib${name}.${version}.dylib`, `${name}.${version}.dll`].includes(file)
}
