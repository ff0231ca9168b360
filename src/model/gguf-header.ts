import { TokenmillError } from '../core/index.ts'
import type { GgufTensorFormat } from './gguf-blocks.ts'

/** What a GGUF file holds. */
export interface GgufContent {
  /** In the order in which they are written. `general.alignment` is added from `alignment` when it is not 32. */
  readonly metadata: Readonly<Record<string, GgufValue>>
  readonly tensors: readonly GgufTensor[]
  /** Bytes; a power of two ≥ 8. 32 unless said otherwise. */
  readonly alignment?: number
}

export type GgufValue = GgufScalar | { readonly type: 'array'; readonly of: GgufScalarType; readonly values: GgufItems }
export type GgufScalar =
  | {
      readonly type: 'uint8' | 'int8' | 'uint16' | 'int16' | 'uint32' | 'int32' | 'float32' | 'float64'
      readonly value: number
    }
  | { readonly type: 'uint64' | 'int64'; readonly value: bigint }
  | { readonly type: 'bool'; readonly value: boolean }
  | { readonly type: 'string'; readonly value: string }
export type GgufScalarType = GgufScalar['type']
type GgufItems = readonly number[] | readonly bigint[] | readonly boolean[] | readonly string[] | Float32Array

export interface GgufTensor {
  readonly name: string
  /** Lengths of one to four dimensions in ggml's order: the first is the length of a row. */
  readonly shape: readonly number[]
  readonly format: GgufTensorFormat
  /** All rows in order; every one is `shape[0]` values long. The buffer may be reused after the next one is asked for. */
  readonly rows: () => Iterable<Float32Array> | AsyncIterable<Float32Array>
}

/** `enum gguf_type` in ggml/include/gguf.h. */
const typeIds: Readonly<Record<GgufScalarType, number>> = {
  uint8: 0,
  int8: 1,
  uint16: 2,
  int16: 3,
  uint32: 4,
  int32: 5,
  float32: 6,
  bool: 7,
  string: 8,
  uint64: 10,
  int64: 11,
  float64: 12,
}
const arrayTypeId = 9
const scalarBytes = {
  uint8: 1,
  int8: 1,
  uint16: 2,
  int16: 2,
  uint32: 4,
  int32: 4,
  float32: 4,
  float64: 8,
  uint64: 8,
  int64: 8,
  bool: 1,
} as const

/**
 * Everything before the data section, without the padding that follows it.
 *
 * @throws TokenmillError `invalid_request` for a shape that its format cannot hold.
 */
export function encodeHeader({ metadata, tensors }: GgufContent, alignment: number): Uint8Array {
  const bytes = new GrowingBytes()
  const pairs = Object.entries(metadata).filter(([key]) => key !== 'general.alignment')
  if (alignment !== 32) pairs.push(['general.alignment', { type: 'uint32', value: alignment }])
  bytes.raw(new TextEncoder().encode('GGUF'))
  bytes.scalar({ type: 'uint32', value: 3 })
  bytes.scalar({ type: 'uint64', value: BigInt(tensors.length) })
  bytes.scalar({ type: 'uint64', value: BigInt(pairs.length) })
  for (const [key, value] of pairs) {
    bytes.scalar({ type: 'string', value: key })
    bytes.value(value)
  }
  let offset = 0
  for (const tensor of tensors) {
    const { format, shape } = tensor
    if (shape.length < 1 || shape.length > 4 || (shape[0] ?? 0) % format.blockValues !== 0) {
      throw new TokenmillError(
        'invalid_request',
        `Tensor '${tensor.name}' has shape [${shape.join(', ')}]; ${format.name} takes one to four dimensions ` +
          `and rows of a multiple of ${format.blockValues} values.`,
      )
    }
    bytes.scalar({ type: 'string', value: tensor.name })
    bytes.scalar({ type: 'uint32', value: shape.length })
    for (const length of shape) bytes.scalar({ type: 'uint64', value: BigInt(length) })
    bytes.scalar({ type: 'uint32', value: format.id })
    bytes.scalar({ type: 'uint64', value: BigInt(offset) })
    const values = shape.reduce((product, length) => product * length, 1)
    offset = align(offset + (values / format.blockValues) * format.blockBytes, alignment)
  }
  return bytes.taken()
}

/** `offset` rounded up to a multiple of `alignment`, both in bytes. */
export function align(offset: number, alignment: number): number {
  return Math.ceil(offset / alignment) * alignment
}

/** Bytes that double their room as they grow: the header, some megabytes for a large vocabulary. */
class GrowingBytes {
  #view = new DataView(new ArrayBuffer(1 << 16))
  #length = 0

  taken(): Uint8Array {
    return new Uint8Array(this.#view.buffer, 0, this.#length)
  }

  raw(bytes: Uint8Array): void {
    const at = this.#grow(bytes.length)
    new Uint8Array(this.#view.buffer).set(bytes, at)
  }

  value(value: GgufValue): void {
    if (value.type !== 'array') {
      this.scalar({ type: 'uint32', value: typeIds[value.type] })
      this.scalar(value)
      return
    }
    this.scalar({ type: 'uint32', value: arrayTypeId })
    this.scalar({ type: 'uint32', value: typeIds[value.of] })
    this.scalar({ type: 'uint64', value: BigInt(value.values.length) })
    for (const item of value.values) this.scalar({ type: value.of, value: item } as GgufScalar)
  }

  scalar(scalar: GgufScalar): void {
    if (scalar.type === 'string') {
      const text = new TextEncoder().encode(scalar.value)
      this.scalar({ type: 'uint64', value: BigInt(text.length) })
      this.raw(text)
      return
    }
    // Growing replaces the view, so the place is found before the view is looked at.
    const at = this.#grow(scalarBytes[scalar.type])
    switch (scalar.type) {
      case 'uint8':
        return this.#view.setUint8(at, scalar.value)
      case 'int8':
        return this.#view.setInt8(at, scalar.value)
      case 'uint16':
        return this.#view.setUint16(at, scalar.value, true)
      case 'int16':
        return this.#view.setInt16(at, scalar.value, true)
      case 'uint32':
        return this.#view.setUint32(at, scalar.value, true)
      case 'int32':
        return this.#view.setInt32(at, scalar.value, true)
      case 'float32':
        return this.#view.setFloat32(at, scalar.value, true)
      case 'float64':
        return this.#view.setFloat64(at, scalar.value, true)
      case 'uint64':
        return this.#view.setBigUint64(at, scalar.value, true)
      case 'int64':
        return this.#view.setBigInt64(at, scalar.value, true)
      case 'bool':
        return this.#view.setUint8(at, scalar.value ? 1 : 0)
    }
  }

  /** Makes room for `bytes` more and returns where they go. */
  #grow(bytes: number): number {
    const at = this.#length
    this.#length += bytes
    if (this.#length > this.#view.byteLength) {
      const larger = new Uint8Array(2 ** Math.ceil(Math.log2(this.#length)))
      larger.set(new Uint8Array(this.#view.buffer, 0, at))
      this.#view = new DataView(larger.buffer)
    }
    return at
  }
}
