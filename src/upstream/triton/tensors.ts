import { endpointError } from '../../protocol/index.ts'
import type { InferResponseMessage } from './contract.ts'

export type TensorType = 'BYTES' | 'BOOL' | 'INT32' | 'UINT64' | 'FP32'

/** One input: a vector; whether a batch dimension of 1 stands in front is the model's matter. */
export interface InputTensor {
  readonly name: string
  readonly type: TensorType
  readonly values: readonly (string | number | boolean)[]
}

/** Outputs of one response by name, flattened. Numbers of 64 bits lose what is above 2^53. */
export type OutputTensors = ReadonlyMap<string, readonly (string | number | boolean)[]>

/** A tensor as raw bytes: little-endian numbers; a BYTES element is its length in four bytes and then itself. */
export function toRaw({ name, type, values }: InputTensor): Buffer {
  if (type === 'BYTES') {
    const pieces = values.flatMap((value) => {
      const bytes = Buffer.from(String(value))
      const length = Buffer.alloc(4)
      length.writeUInt32LE(bytes.length)
      return [length, bytes]
    })
    return Buffer.concat(pieces)
  }
  const { size, write } = writers[type]
  const raw = Buffer.alloc(values.length * size)
  values.forEach((value, at) => {
    const number = Number(value)
    if (Number.isNaN(number)) throw new RangeError(`The tensor '${name}' of type ${type} cannot hold ${String(value)}.`)
    write(raw, number, at * size)
  })
  return raw
}

/** The outputs of a response. Throws `upstream_failed` for contents that are shorter than they say. */
export function readOutputs(endpoint: string, response: InferResponseMessage): OutputTensors {
  const outputs = new Map<string, readonly (string | number | boolean)[]>()
  response.outputs.forEach(({ name, datatype, contents }, at) => {
    const raw = response.rawOutputContents[at]
    const values = raw === undefined ? fromContents(contents ?? {}) : fromRaw(endpoint, name, datatype, raw)
    if (values !== undefined) outputs.set(name, values)
  })
  return outputs
}

/** Undefined for types that nothing here reads (FP16, BF16). */
function fromRaw(
  endpoint: string,
  name: string,
  datatype: string,
  raw: Uint8Array,
): (string | number | boolean)[] | undefined {
  const bytes = Buffer.from(raw.buffer, raw.byteOffset, raw.byteLength)
  if (datatype === 'BYTES') return readStrings(endpoint, name, bytes)
  const reader = readers[datatype]
  if (reader === undefined) return undefined
  const count = Math.floor(bytes.length / reader.size)
  return Array.from({ length: count }, (_, at) => reader.read(bytes, at * reader.size))
}

function readStrings(endpoint: string, name: string, bytes: Buffer): string[] {
  const values: string[] = []
  let at = 0
  while (at < bytes.length) {
    const start = at + 4
    const length = start <= bytes.length ? bytes.readUInt32LE(at) : Number.POSITIVE_INFINITY
    if (start + length > bytes.length) {
      throw endpointError('upstream_failed', endpoint, `sent the output '${name}' cut short.`)
    }
    values.push(bytes.toString('utf8', start, start + length))
    at = start + length
  }
  return values
}

function fromContents(contents: Readonly<Record<string, readonly (number | boolean | Uint8Array | object)[]>>) {
  const filled = Object.values(contents).find((values) => Array.isArray(values) && values.length > 0) ?? []
  return filled.map((value) => {
    if (value instanceof Uint8Array) return Buffer.from(value).toString()
    return typeof value === 'boolean' ? value : Number(value)
  })
}

const writers: Readonly<
  Record<Exclude<TensorType, 'BYTES'>, { size: number; write: (raw: Buffer, value: number, at: number) => void }>
> = {
  BOOL: { size: 1, write: (raw, value, at) => void raw.writeUInt8(value, at) },
  INT32: { size: 4, write: (raw, value, at) => void raw.writeInt32LE(value, at) },
  UINT64: { size: 8, write: (raw, value, at) => void raw.writeBigUInt64LE(BigInt(value), at) },
  FP32: { size: 4, write: (raw, value, at) => void raw.writeFloatLE(value, at) },
}

const readers: Readonly<
  Record<string, { size: number; read: (raw: Buffer, at: number) => number | boolean } | undefined>
> = {
  BOOL: { size: 1, read: (raw, at) => raw.readUInt8(at) !== 0 },
  INT8: { size: 1, read: (raw, at) => raw.readInt8(at) },
  UINT8: { size: 1, read: (raw, at) => raw.readUInt8(at) },
  INT16: { size: 2, read: (raw, at) => raw.readInt16LE(at) },
  UINT16: { size: 2, read: (raw, at) => raw.readUInt16LE(at) },
  INT32: { size: 4, read: (raw, at) => raw.readInt32LE(at) },
  UINT32: { size: 4, read: (raw, at) => raw.readUInt32LE(at) },
  INT64: { size: 8, read: (raw, at) => Number(raw.readBigInt64LE(at)) },
  UINT64: { size: 8, read: (raw, at) => Number(raw.readBigUInt64LE(at)) },
  FP32: { size: 4, read: (raw, at) => raw.readFloatLE(at) },
  FP64: { size: 8, read: (raw, at) => raw.readDoubleLE(at) },
}
