import koffi, { type LibraryHandle } from 'koffi'
import { TokenmillError } from '../../../core/index.ts'

/**
 * A binary interface: struct layouts, what they must measure, what their default values must be, and prototypes.
 * One table per release of llama.cpp; an unknown release, or one whose structs do not read back, does not start.
 */
export interface AbiTable {
  /** The release, as the libraries' file names carry it: `v0.5.0`. */
  readonly version: string
  readonly structs: Readonly<Record<string, Readonly<Record<string, string>>>>
  /** Bytes on 64-bit platforms. */
  readonly sizes: Readonly<Record<string, number>>
  /** What `llama_*_default_params` must return. A field that moved reads as something else. */
  readonly defaults: Readonly<Record<'llama_model_params' | 'llama_context_params', Readonly<Record<string, unknown>>>>
  readonly llama: Readonly<Record<string, Prototype>>
  readonly ggml: Readonly<Record<string, Prototype>>
}

type Prototype = readonly [result: string, parameters: readonly string[]]

/** An address in native memory; null is C's NULL. */
export type Pointer = bigint | null

/** The functions of a library by name. Their C types are checked by the ABI table alone: call them through native/*. */
// oxlint-disable-next-line typescript/no-explicit-any -- a foreign function has the types that the ABI table gives it
export type NativeFunctions = Readonly<Record<string, (...parameters: any[]) => any>>

/** Declares the table's structs to koffi. Once per thread: type names are global there. */
export function declareStructs(abi: AbiTable): void {
  for (const [name, fields] of Object.entries(abi.structs)) koffi.struct(name, { ...fields })
}

export function bindFunctions(
  library: LibraryHandle,
  prototypes: Readonly<Record<string, Prototype>>,
): NativeFunctions {
  return Object.fromEntries(
    Object.entries(prototypes).map(([name, [result, parameters]]) => [
      name,
      library.func(name, result, [...parameters]),
    ]),
  )
}

/**
 * Compares struct sizes and default values with the table.
 * Throws `startup` naming every difference: a silent mismatch would corrupt memory later.
 */
export function checkAbi(abi: AbiTable, llama: NativeFunctions): void {
  const faults: string[] = []
  for (const [name, size] of Object.entries(abi.sizes)) {
    const actual = koffi.sizeof(name)
    if (actual !== size) faults.push(`sizeof(${name}) is ${actual}, expected ${size}`)
  }
  for (const [name, expected] of Object.entries(abi.defaults)) {
    const read = llama[name.replace('_params', '_default_params')]
    const actual = read?.() as Record<string, unknown> | undefined
    for (const [field, value] of Object.entries(expected)) {
      if (actual?.[field] !== value)
        faults.push(`${name}.${field} is ${String(actual?.[field])}, expected ${String(value)}`)
    }
  }
  failOnFaults(abi, faults)
}

/** Reports what `checkAbi` or a read-back of odd values found. */
export function failOnFaults(abi: AbiTable, faults: readonly string[]): void {
  if (faults.length === 0) return
  throw new TokenmillError(
    'startup',
    `The installed libllama does not match the interface of llama.cpp ${abi.version}: ${faults.join('; ')}. ` +
      `Install the @node-llama-cpp pack of the version that package.json pins.`,
  )
}
