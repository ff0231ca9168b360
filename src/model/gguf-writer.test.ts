import { createHash } from 'node:crypto'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { gguf, GGMLQuantizationType } from '@huggingface/gguf'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { f16, f32, q4_0, q8_0 } from './gguf-blocks.ts'
import type { GgufContent, GgufTensor } from './gguf-header.ts'
import { writeGguf } from './gguf-writer.ts'
import { randomModelShapes, writeRandomModel } from './random-model.ts'

let folder = ''
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'tokenmill-gguf-'))
})
afterAll(() => rm(folder, { recursive: true }))

const rowsOf = (length: number, count: number) => () =>
  Array.from({ length: count }, (_, row) => Float32Array.from({ length }, (_, i) => row + i / length))

const tensors: readonly GgufTensor[] = [
  { name: 'odd', shape: [3, 5], format: f32, rows: rowsOf(3, 5) },
  { name: 'half', shape: [7], format: f16, rows: rowsOf(7, 1) },
  { name: 'eight', shape: [64, 2, 2], format: q8_0, rows: rowsOf(64, 4) },
  { name: 'four', shape: [32, 3], format: q4_0, rows: rowsOf(32, 3) },
]

const metadata: GgufContent['metadata'] = {
  'general.architecture': { type: 'string', value: 'llama' },
  'test.u8': { type: 'uint8', value: 255 },
  'test.i8': { type: 'int8', value: -128 },
  'test.u16': { type: 'uint16', value: 65_535 },
  'test.i16': { type: 'int16', value: -32_768 },
  'test.u32': { type: 'uint32', value: 4_294_967_295 },
  'test.i32': { type: 'int32', value: -2_147_483_648 },
  'test.f32': { type: 'float32', value: 0.5 },
  'test.f64': { type: 'float64', value: 0.1 },
  'test.u64': { type: 'uint64', value: 2n ** 53n },
  'test.i64': { type: 'int64', value: -(2n ** 53n) },
  'test.bool': { type: 'bool', value: true },
  'test.text': { type: 'string', value: 'čaj ▁ 🫖' },
  'test.texts': { type: 'array', of: 'string', values: ['', 'a', '\u0000b'] },
  'test.floats': { type: 'array', of: 'float32', values: [1, -2.5] },
}

describe('writeGguf', () => {
  it.each([8, 32, 64])('writes what an independent reader reads, aligned to %i bytes', async (alignment) => {
    const file = path.join(folder, `all-${alignment}.gguf`)
    const size = await writeGguf(file, { metadata, tensors, alignment })
    const read = await gguf(file, { allowLocalFile: true })
    for (const [key, value] of Object.entries(metadata)) {
      const expected = value.type === 'array' ? value.values : value.value
      const actual = (read.metadata as Record<string, unknown>)[key]
      expect(actual, key).toEqual(expected)
    }
    expect(read.metadata.version).toBe(3)
    const bytes = await readFile(file)
    expect(bytes.length).toBe(size)
    expect(size % alignment).toBe(0)
    const dataOffset = Number(read.tensorDataOffset)
    expect(dataOffset % alignment).toBe(0)
    for (const [index, tensor] of tensors.entries()) {
      const info = read.tensorInfos[index]
      expect(info?.name).toBe(tensor.name)
      expect(info?.dtype).toBe(GGMLQuantizationType[tensor.format.name])
      expect(info?.shape.map(Number)).toEqual(tensor.shape)
      const at = dataOffset + Number(info?.offset)
      expect(at % alignment).toBe(0)
      expect(tensorBytesAt(bytes, at, tensor)).toBe(true)
    }
  })

  it('writes headers that outgrow their first room at every kind of value', async () => {
    // 200,000 items of each width pass every doubling of the header, at each alignment of an item to its end.
    const items = Array.from({ length: 200_000 }, (_, index) => index % 100)
    const many: GgufContent['metadata'] = {
      bytes: { type: 'array', of: 'uint8', values: items },
      words: { type: 'array', of: 'int32', values: items },
      longs: { type: 'array', of: 'uint64', values: items.map(BigInt) },
      texts: { type: 'array', of: 'string', values: items.map(String) },
    }
    const file = path.join(folder, 'header.gguf')
    await writeGguf(file, { metadata: many, tensors: [] })
    const read = (await gguf(file, { allowLocalFile: true })).metadata as unknown as Record<string, unknown>
    for (const name of ['bytes', 'words'] as const) expect(read[name]).toEqual(items)
    expect(read['longs']).toEqual(items.map(BigInt))
    expect(read['texts']).toEqual(items.map(String))
  })

  it('writes rows longer than its buffer', async () => {
    const length = 400_000
    const file = path.join(folder, 'long.gguf')
    const size = await writeGguf(file, {
      metadata: {},
      tensors: [{ name: 'long', shape: [length, 2], format: f32, rows: rowsOf(length, 2) }],
    })
    const bytes = await readFile(file)
    expect(bytes.length).toBe(size)
    const view = new DataView(bytes.buffer, bytes.byteOffset)
    expect(view.getFloat32(size - 4, true)).toBeCloseTo(2 - 1 / length, 5)
  })

  it('leaves no file behind when the rows do not match the shape', async () => {
    const before = await readdir(folder)
    const attempt = (rows: () => Iterable<Float32Array>) =>
      writeGguf(path.join(folder, 'wrong.gguf'), {
        metadata: {},
        tensors: [{ name: 'wrong', shape: [4, 2], format: f32, rows }],
      })
    await expect(attempt(rowsOf(4, 1))).rejects.toMatchObject({ code: 'invalid_request' })
    await expect(attempt(rowsOf(4, 3))).rejects.toMatchObject({ code: 'invalid_request' })
    await expect(attempt(rowsOf(5, 2))).rejects.toMatchObject({ code: 'invalid_request' })
    expect(await readdir(folder)).toEqual(before)
  })

  it('refuses rows that do not hold whole blocks, naming the tensor', async () => {
    const tensor = { name: 'ragged', shape: [33, 1], format: q4_0, rows: rowsOf(33, 1) }
    await expect(writeGguf(path.join(folder, 'ragged.gguf'), { metadata: {}, tensors: [tensor] })).rejects.toThrow(
      /'ragged'.*multiple of 32/,
    )
  })

  it('stops when aborted and removes what it wrote', async () => {
    const stop = new AbortController()
    const before = await readdir(folder)
    function* rows() {
      for (let row = 0; ; row += 1) {
        if (row === 2000) stop.abort(new Error('enough'))
        yield new Float32Array(1024)
      }
    }
    const endless = { name: 'endless', shape: [1024, 1_000_000], format: f32, rows }
    const writing = writeGguf(path.join(folder, 'endless.gguf'), { metadata: {}, tensors: [endless] }, stop.signal)
    await expect(writing).rejects.toThrow('enough')
    expect(await readdir(folder)).toEqual(before)
  })
})

describe('writeRandomModel', () => {
  const options = { shape: randomModelShapes.tiny, format: q4_0 }

  it('writes equal bytes for equal seeds and other bytes for others', async () => {
    const digests = await Promise.all(
      [1, 1, 2].map(async (seed, index) => {
        const file = path.join(folder, `tiny-${index}.gguf`)
        await writeRandomModel(file, { ...options, seed })
        return createHash('sha256')
          .update(await readFile(file))
          .digest('hex')
      }),
    )
    expect(digests[0]).toBe(digests[1])
    expect(digests[0]).not.toBe(digests[2])
  })

  it('describes a Llama whose vocabulary has one distinct piece and score for each token', async () => {
    const file = path.join(folder, 'tiny.gguf')
    expect(await writeRandomModel(file, { ...options, seed: 3 })).toBeLessThan(300_000)
    const { metadata, tensorInfos } = await gguf(file, { allowLocalFile: true })
    const pieces = (metadata as Record<string, unknown>)['tokenizer.ggml.tokens'] as string[]
    expect(new Set(pieces).size).toBe(512)
    for (const [index, word] of pieces.entries()) {
      if (index < 360) continue
      const isJoin = Array.from(word).some(
        (_, cut) =>
          cut > 0 &&
          [word.slice(0, cut), word.slice(cut)].every((part) => pieces.indexOf(part) < index && pieces.includes(part)),
      )
      expect(isJoin, word).toBe(true)
    }
    expect(tensorInfos.length).toBe(3 + 9 * 2)
    expect(tensorInfos.find(({ name }) => name === 'blk.1.attn_k.weight')?.shape.map(Number)).toEqual([64, 32])
  })
})

/** Whether the bytes at `at` are the tensor's rows as its format encodes them. */
function tensorBytesAt(bytes: Buffer, at: number, tensor: GgufTensor): boolean {
  const rows = [...(tensor.rows() as Iterable<Float32Array>)]
  const rowBytes = ((tensor.shape[0] ?? 0) / tensor.format.blockValues) * tensor.format.blockBytes
  const expected = new DataView(new ArrayBuffer(rowBytes * rows.length))
  for (const [index, row] of rows.entries()) tensor.format.encode(row, expected, index * rowBytes)
  return bytes.subarray(at, at + expected.byteLength).equals(new Uint8Array(expected.buffer))
}
