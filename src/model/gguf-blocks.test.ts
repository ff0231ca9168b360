import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { f16, f32, q4_0, q8_0, type GgufTensorFormat } from './gguf-blocks.ts'

function encoded(format: GgufTensorFormat, row: Float32Array): DataView {
  const out = new DataView(new ArrayBuffer((row.length / format.blockValues) * format.blockBytes))
  format.encode(row, out, 0)
  return out
}

/** Decoders written from the block layouts alone (`dequantize_row_*` in ggml-quants.c). */
function decodeQ8(bytes: DataView, blocks: number): number[] {
  return Array.from({ length: blocks * 32 }, (_, i) => {
    const at = Math.floor(i / 32) * 34
    return bytes.getFloat16(at, true) * bytes.getInt8(at + 2 + (i % 32))
  })
}

function decodeQ4(bytes: DataView, blocks: number): number[] {
  return Array.from({ length: blocks * 32 }, (_, i) => {
    const at = Math.floor(i / 32) * 18
    const pair = bytes.getUint8(at + 2 + (i % 16))
    return bytes.getFloat16(at, true) * ((i % 32 < 16 ? pair & 15 : pair >> 4) - 8)
  })
}

const blocks = fc
  .array(fc.float({ min: -1000, max: 1000, noNaN: true }), { minLength: 32, maxLength: 128 })
  .map((values) => Float32Array.from(values.slice(0, values.length - (values.length % 32))))

describe('GGUF blocks', () => {
  it('keep F32 exactly and F16 to half precision', () => {
    fc.assert(
      fc.property(blocks, (row) => {
        const single = encoded(f32, row)
        const half = encoded(f16, row)
        for (const [i, value] of row.entries()) {
          expect(single.getFloat32(4 * i, true)).toBe(value)
          expect(half.getFloat16(2 * i, true)).toBe(Math.f16round(value))
        }
      }),
    )
  })

  it('bring Q8_0 back within half a step, and the step is the largest magnitude over 127', () => {
    fc.assert(
      fc.property(blocks, (row) => {
        const back = decodeQ8(encoded(q8_0, row), row.length / 32)
        for (let block = 0; block < row.length; block += 32) {
          const largest = Math.max(...row.subarray(block, block + 32).map(Math.abs))
          // Half a step, and the rounding of the scale to half precision: 2⁻¹¹ relative, 2⁻²⁵ absolute, times 127.
          const bound = largest / 254 + largest * 2 ** -10 + 127 * 2 ** -24
          for (let i = block; i < block + 32; i += 1) {
            expect(Math.abs((back[i] ?? NaN) - (row[i] ?? NaN))).toBeLessThanOrEqual(bound)
          }
        }
      }),
    )
  })

  it('bring Q4_0 back within a step, and the value of largest magnitude within rounding of the scale', () => {
    fc.assert(
      fc.property(blocks, (row) => {
        const back = decodeQ4(encoded(q4_0, row), row.length / 32)
        for (let block = 0; block < row.length; block += 32) {
          const values = row.subarray(block, block + 32)
          const largest = Math.max(...values.map(Math.abs))
          const rounding = largest * 2 ** -10 + 8 * 2 ** -24
          // Values of the opposite sign reach only 7 steps of 8, so the bound is a whole step.
          for (let i = 0; i < 32; i += 1) {
            const error = Math.abs((back[block + i] ?? NaN) - (values[i] ?? NaN))
            const isExtreme =
              Math.abs(values[i] ?? NaN) === largest && values[i] === values.find((v) => Math.abs(v) === largest)
            expect(error).toBeLessThanOrEqual(isExtreme ? rounding : largest / 8 + rounding)
          }
        }
      }),
    )
  })

  it('lay out a known Q4_0 block as ggml does', () => {
    // The extreme is −8, so d = 1 and q = x + 8: 0 … 15 for −8 … 7.
    const row = Float32Array.from({ length: 32 }, (_, i) => (i % 16) - 8)
    const bytes = encoded(q4_0, row)
    expect(bytes.getFloat16(0, true)).toBe(1)
    expect(Array.from({ length: 16 }, (_, j) => bytes.getUint8(2 + j))).toEqual(
      Array.from({ length: 16 }, (_, j) => j * 17),
    )
  })

  it('lay out a known Q8_0 block as ggml does', () => {
    const row = Float32Array.from({ length: 32 }, (_, i) => (i === 31 ? 127 : -i - 0.5))
    const bytes = encoded(q8_0, row)
    expect(bytes.getFloat16(0, true)).toBe(1)
    expect(bytes.getInt8(2)).toBe(-1)
    expect(bytes.getInt8(2 + 30)).toBe(-31)
    expect(bytes.getInt8(2 + 31)).toBe(127)
  })
})
