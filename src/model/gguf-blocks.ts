/**
 * Number formats of GGUF tensors, as ggml lays out their blocks (ggml/src/ggml-common.h; the reference encoders
 * are in ggml/src/ggml-quants.c). Little-endian throughout.
 *
 *   F32   [4 B value]
 *   F16   [2 B value]
 *   Q8_0  [2 B scale d][32 × int8 q]                           x ≈ d·q
 *   Q4_0  [2 B scale d][16 B: q of x[j] low, of x[j+16] high]  x ≈ d·(q − 8)
 */
export interface GgufTensorFormat {
  readonly name: 'F32' | 'F16' | 'Q8_0' | 'Q4_0'
  /** `enum ggml_type` in ggml/include/ggml.h. */
  readonly id: number
  /** Values in a block. A row holds whole blocks. */
  readonly blockValues: number
  readonly blockBytes: number
  /** Encodes the values of `row` (whole blocks) to `out` at `offset`. */
  readonly encode: (row: Float32Array, out: DataView, offset: number) => void
}

export const f32: GgufTensorFormat = { name: 'F32', id: 0, blockValues: 1, blockBytes: 4, encode: encodeF32 }
export const f16: GgufTensorFormat = { name: 'F16', id: 1, blockValues: 1, blockBytes: 2, encode: encodeF16 }
export const q4_0: GgufTensorFormat = { name: 'Q4_0', id: 2, blockValues: 32, blockBytes: 18, encode: encodeQ4 }
export const q8_0: GgufTensorFormat = { name: 'Q8_0', id: 8, blockValues: 32, blockBytes: 34, encode: encodeQ8 }

function encodeF32(row: Float32Array, out: DataView, offset: number): void {
  for (let i = 0; i < row.length; i += 1) out.setFloat32(offset + 4 * i, row[i] ?? 0, true)
}

function encodeF16(row: Float32Array, out: DataView, offset: number): void {
  for (let i = 0; i < row.length; i += 1) out.setFloat16(offset + 2 * i, row[i] ?? 0, true)
}

/** `quantize_row_q8_0_ref`: d = max|x|/127, q = x/d rounded half away from zero. */
function encodeQ8(row: Float32Array, out: DataView, offset: number): void {
  let at = offset
  for (let block = 0; block < row.length; block += 32) {
    let largest = 0
    for (let j = block; j < block + 32; j += 1) largest = Math.max(largest, Math.abs(row[j] ?? 0))
    const scale = Math.fround(largest / 127)
    const inverse = scale === 0 ? 0 : Math.fround(1 / scale)
    out.setFloat16(at, scale, true)
    for (let j = 0; j < 32; j += 1) {
      const value = Math.fround((row[block + j] ?? 0) * inverse)
      out.setInt8(at + 2 + j, value < 0 ? -Math.round(-value) : Math.round(value))
    }
    at += 34
  }
}

/** `quantize_row_q4_0_ref`: the value of largest magnitude becomes q = 0, so d = thatValue/−8. */
function encodeQ4(row: Float32Array, out: DataView, offset: number): void {
  let at = offset
  for (let block = 0; block < row.length; block += 32) {
    let extreme = 0
    for (let j = block; j < block + 32; j += 1) {
      const value = row[j] ?? 0
      if (Math.abs(value) > Math.abs(extreme)) extreme = value
    }
    const scale = Math.fround(extreme / -8)
    const inverse = scale === 0 ? 0 : Math.fround(1 / scale)
    out.setFloat16(at, scale, true)
    for (let j = 0; j < 16; j += 1) {
      const low = nibble(row[block + j] ?? 0, inverse)
      out.setUint8(at + 2 + j, low | (nibble(row[block + 16 + j] ?? 0, inverse) << 4))
    }
    at += 18
  }
}

/** Rounds by truncation of x/d + 8.5, which is never negative, in single precision as the reference does. */
function nibble(value: number, inverse: number): number {
  return Math.min(15, Math.trunc(Math.fround(Math.fround(value * inverse) + 8.5)))
}
