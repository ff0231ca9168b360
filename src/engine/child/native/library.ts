import { readdirSync } from 'node:fs'
import path from 'node:path'
import koffi from 'koffi'
import { TokenmillError } from '../../../core/index.ts'
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

/** Opens the libraries and every backend beside them. Throws `startup`. Once per process. */
export function loadLibrary(folder: string): NativeLibrary {
  const library = openLibrary(folder)
  library.ggml['ggml_backend_load_all_from_path']?.(folder)
  library.llama['llama_backend_init']?.()
  return library
}

/** Opens the libraries and checks their interface: all that another thread of a process that has loaded them needs. Once per thread. */
export function openLibrary(folder: string): NativeLibrary {
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
  return { abi, llama, ggml, folder }
}

function isLibrary(file: string, name: 'llama' | 'ggml', version: string): boolean {
  return [`lib${name}.${version}.so`, `lib${name}.${version}.dylib`, `${name}.${version}.dll`].includes(file)
}
