import { limitError, type TokenmillError } from '../core/index.ts'
import { GgufCursor } from './gguf-cursor.ts'
import { modelOptions } from './options.ts'

/**
 * The header of a GGUF file as it stands there: metadata and tensor table, without the weights.
 * Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md, versions 2 and 3, little-endian.
 */
export interface GgufFileHeader {
  readonly path: string
  readonly fileBytes: number
  readonly version: number
  readonly metadata: ReadonlyMap<string, GgufMetadataValue>
  readonly tensors: readonly GgufTensorEntry[]
  /** Where the weights begin, bytes from the start of the file. */
  readonly dataOffset: number
}

export type GgufMetadataScalar = string | number | bigint | boolean
export type GgufMetadataValue = GgufMetadataScalar | readonly GgufMetadataScalar[] | GgufLongArray

/** An array of more than `shortArrayLength` elements: left in the file, with the place where it begins. */
export interface GgufLongArray {
  readonly length: number
  readonly elementType: number
  /** Of its first element, bytes from the start of the file. */
  readonly offset: number
}

export interface GgufTensorEntry {
  readonly name: string
  /** Elements along each dimension, the contiguous one first. */
  readonly shape: readonly number[]
  /** Number of the ggml type. */
  readonly type: number
  /** From `dataOffset`. */
  readonly offset: number
}

/** Arrays up to this many elements are kept in memory: per-layer head counts and the like, never vocabularies. */
export const shortArrayLength = 1024

/** Reads the header; throws `startup` naming file and fault for a damaged one, `limit_exceeded` for an absurd one. */
export function readGgufHeader(path: string): GgufFileHeader {
  using cursor = new GgufCursor(path)
  const version = readVersion(cursor)
  const tensorCount = cursor.u64('the number of tensors')
  const keyCount = cursor.u64('the number of metadata keys')
  requireCount(cursor, tensorCount, modelOptions.maxMetadataTensors.default, 'maxMetadataTensors', 'tensors', 24)
  requireCount(cursor, keyCount, modelOptions.maxMetadataKeys.default, 'maxMetadataKeys', 'metadata keys', 13)
  const metadata = new Map<string, GgufMetadataValue>()
  for (let index = 0; index < keyCount; index += 1) {
    const key = cursor.string('a metadata key')
    metadata.set(key, readValue(cursor, cursor.u32(`the type of ${key}`), key))
  }
  const tensors: GgufTensorEntry[] = []
  for (let index = 0; index < tensorCount; index += 1) tensors.push(readTensor(cursor))
  const alignment = metadata.get('general.alignment') ?? 32
  if (typeof alignment !== 'number' || !Number.isInteger(alignment) || alignment < 1) {
    throw cursor.fault(`general.alignment is ${JSON.stringify(alignment)}`)
  }
  const dataOffset = Math.ceil(cursor.position / alignment) * alignment
  for (const tensor of tensors) {
    if (dataOffset + tensor.offset > cursor.fileBytes) {
      throw cursor.fault(
        `tensor ${tensor.name} begins at byte ${dataOffset + tensor.offset}, behind the end of the file`,
      )
    }
  }
  return { path, fileBytes: cursor.fileBytes, version, metadata, tensors, dataOffset }
}

/** The strings at `indices` of a long array of strings, such as a vocabulary. Absent where the array has no such index. */
export function readGgufStrings(
  path: string,
  array: GgufLongArray,
  indices: ReadonlySet<number>,
): ReadonlyMap<number, string> {
  const found = new Map<number, string>()
  if (array.elementType !== typeString) return found
  using cursor = new GgufCursor(path)
  cursor.seek(array.offset)
  const last = Math.min(array.length - 1, Math.max(-1, ...indices))
  for (let index = 0; index <= last; index += 1) {
    if (indices.has(index)) found.set(index, cursor.string(`element ${index} of a text array`))
    else cursor.skipString(`element ${index} of a text array`)
  }
  return found
}

function readVersion(cursor: GgufCursor): number {
  const magic = cursor.u32('the magic number')
  if (magic !== 0x46554747) throw cursor.fault('it does not begin with "GGUF"')
  const version = cursor.u32('the version')
  if (version > 0xffff) throw cursor.fault('it is big-endian; convert it to little-endian')
  if (version < 2 || version > 3) throw cursor.fault(`it has version ${version}; versions 2 and 3 are read`)
  return version
}

function requireCount(
  cursor: GgufCursor,
  actual: number,
  maximum: number,
  limit: string,
  unit: string,
  eachBytes: number,
): void {
  if (actual > maximum) throw tooMany(cursor, limit, maximum, unit, actual)
  cursor.requireRoom(actual, eachBytes, unit)
}

function tooMany(cursor: GgufCursor, name: string, maximum: number, unit: string, actual: number): TokenmillError {
  return limitError({ name, maximum, unit }, actual, `The header of ${cursor.path}`, 'Fetch the file again.')
}

function readTensor(cursor: GgufCursor): GgufTensorEntry {
  const name = cursor.string('the name of a tensor')
  const dimensions = cursor.u32(`the dimensions of ${name}`)
  if (dimensions > 8) throw cursor.fault(`tensor ${name} has ${dimensions} dimensions`)
  const shape = Array.from({ length: dimensions }, () => cursor.u64(`the shape of ${name}`))
  return { name, shape, type: cursor.u32(`the type of ${name}`), offset: cursor.u64(`the offset of ${name}`) }
}

const typeString = 8
const typeArray = 9

function readValue(cursor: GgufCursor, type: number, key: string): GgufMetadataValue {
  if (type !== typeArray) return readScalar(cursor, type, key)
  const elementType = cursor.u32(`the element type of ${key}`)
  const length = cursor.u64(`the length of ${key}`)
  const eachBytes = elementType === typeString ? 8 : scalarType(cursor, elementType, key).bytes
  cursor.requireRoom(length, eachBytes, `elements in ${key}`)
  if (length <= shortArrayLength) return Array.from({ length }, () => readScalar(cursor, elementType, key))
  const offset = cursor.position
  if (elementType === typeString) for (let index = 0; index < length; index += 1) cursor.skipString(key)
  else cursor.skip(length * eachBytes, key)
  return { length, elementType, offset }
}

function readScalar(cursor: GgufCursor, type: number, key: string): GgufMetadataScalar {
  if (type === typeString) return cursor.string(key)
  const scalar = scalarType(cursor, type, key)
  return scalar.read(cursor.bytes(scalar.bytes, key))
}

function scalarType(cursor: GgufCursor, type: number, key: string): ScalarType {
  const scalar = scalars[type]
  if (scalar === undefined) throw cursor.fault(`${key} has the unknown type ${type}`)
  return scalar
}

interface ScalarType {
  readonly bytes: number
  read(from: Buffer): GgufMetadataScalar
}

/** Numbers of the value types, as the format defines them. 64-bit integers become numbers where they fit exactly. */
const scalars: Readonly<Record<number, ScalarType>> = {
  0: { bytes: 1, read: (from) => from.readUInt8() },
  1: { bytes: 1, read: (from) => from.readInt8() },
  2: { bytes: 2, read: (from) => from.readUInt16LE() },
  3: { bytes: 2, read: (from) => from.readInt16LE() },
  4: { bytes: 4, read: (from) => from.readUInt32LE() },
  5: { bytes: 4, read: (from) => from.readInt32LE() },
  6: { bytes: 4, read: (from) => from.readFloatLE() },
  7: { bytes: 1, read: (from) => from.readUInt8() !== 0 },
  10: { bytes: 8, read: (from) => exact(from.readBigUInt64LE()) },
  11: { bytes: 8, read: (from) => exact(from.readBigInt64LE()) },
  12: { bytes: 8, read: (from) => from.readDoubleLE() },
}

function exact(value: bigint): number | bigint {
  const number = Number(value)
  return Number.isSafeInteger(number) ? number : value
}
