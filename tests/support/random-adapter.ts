import { copyFile, open } from 'node:fs/promises'
import { createRandom } from '../../src/core/index.ts'
import { f32, readGgufMetadata, writeGguf, type GgufTensor } from '../../src/model/index.ts'

export interface RandomAdapter {
  /** A GGUF of F32 weights; which of its matrices are changed is decided by their names. */
  readonly basePath: string
  readonly weights: RegExp
  readonly rank: number
  readonly alpha: number
  readonly seed: number
  /** Standard deviation of B·A's elements beside 1/√inputs; 1: as large as the weights themselves. */
  readonly strength: number
}

interface Pair {
  readonly name: string
  readonly inputs: number
  readonly outputs: number
  /** `rank` rows of `inputs`. */
  readonly a: Float32Array
  /** `outputs` rows of `rank`. */
  readonly b: Float32Array
}

function pairsOf({ basePath, weights, rank, seed, strength }: RandomAdapter): readonly Pair[] {
  const random = createRandom(seed)
  const draw = (length: number, deviation: number) =>
    Float32Array.from({ length }, () => (random() - 0.5) * Math.sqrt(12) * deviation)
  return readGgufMetadata(basePath)
    .header.tensors.filter(({ name, shape }) => shape.length === 2 && weights.test(name))
    .map(({ name, shape: [inputs = 0, outputs = 0] }) => ({
      name,
      inputs,
      outputs,
      a: draw(rank * inputs, 1 / Math.sqrt(inputs)),
      b: draw(outputs * rank, strength / Math.sqrt(rank)),
    }))
}

/** Writes a LoRA adapter of small random matrices, as llama.cpp's convert_lora_to_gguf.py lays one out. */
export async function writeRandomAdapter(
  path: string,
  adapter: RandomAdapter,
  changes: Readonly<Record<string, string>> = {},
): Promise<void> {
  const { architecture } = readGgufMetadata(adapter.basePath)
  const text = (value: string) => ({ type: 'string', value }) as const
  const matrix = (name: string, length: number, values: Float32Array): GgufTensor => ({
    name,
    shape: [length, values.length / length],
    format: f32,
    rows: function* () {
      for (let at = 0; at < values.length; at += length) yield values.subarray(at, at + length)
    },
  })
  await writeGguf(path, {
    metadata: {
      'general.architecture': text(architecture),
      'general.type': text('adapter'),
      'adapter.type': text('lora'),
      'adapter.lora.alpha': { type: 'float32', value: adapter.alpha },
      ...Object.fromEntries(Object.entries(changes).map(([key, value]) => [key, text(value)])),
    },
    tensors: pairsOf(adapter).flatMap(({ name, inputs, a, b }) => [
      matrix(`${name}.lora_a`, inputs, a),
      matrix(`${name}.lora_b`, adapter.rank, b),
    ]),
  })
}

/** Copies the base with the adapter's product added to its weights: W + scale · α/r · B·A. */
export async function writeMergedModel(path: string, adapter: RandomAdapter, scale: number): Promise<void> {
  await copyFile(adapter.basePath, path)
  const { tensors, dataOffset } = readGgufMetadata(path).header
  const file = await open(path, 'r+')
  try {
    for (const { name, inputs, outputs, a, b } of pairsOf(adapter)) {
      const tensor = tensors.find((each) => each.name === name)
      if (tensor === undefined) throw new Error(`no ${name}`)
      const bytes = Buffer.alloc(inputs * outputs * 4)
      await file.read(bytes, 0, bytes.length, dataOffset + tensor.offset)
      const factor = (scale * adapter.alpha) / adapter.rank
      for (let row = 0; row < outputs; row += 1) {
        for (let column = 0; column < inputs; column += 1) {
          let sum = 0
          for (let k = 0; k < adapter.rank; k += 1) {
            sum += (b[row * adapter.rank + k] ?? 0) * (a[k * inputs + column] ?? 0)
          }
          const at = (row * inputs + column) * 4
          bytes.writeFloatLE(bytes.readFloatLE(at) + factor * sum, at)
        }
      }
      await file.write(bytes, 0, bytes.length, dataOffset + tensor.offset)
    }
  } finally {
    await file.close()
  }
}
