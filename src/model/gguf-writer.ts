import { open, rename, rm, type FileHandle } from 'node:fs/promises'
import { TokenmillError } from '../core/index.ts'
import { align, encodeHeader, type GgufContent, type GgufTensor } from './gguf-header.ts'

/** Bytes gathered before they are written; a longer row gets a buffer of its own length. */
const pieceBytes = 1 << 20

/**
 * Writes GGUF version 3 (ggml/include/gguf.h; docs/gguf.md of the ggml project), little-endian:
 *
 *   "GGUF" · version · tensor count · pair count
 *   pairs          key · type · value
 *   tensor infos   name · dimensions, fastest first · format · offset in the data section
 *   padding to `alignment`
 *   data section   each tensor padded to `alignment`
 *
 * Rows are asked for, encoded and written one piece at a time: memory is bounded by the header and 1 MiB.
 *
 * The file grows under a temporary name and is renamed when it is whole, so that a reader never sees
 * half a model. Returns its size in bytes.
 *
 * @throws TokenmillError `invalid_request` for a shape that its format cannot hold or rows that do not match it;
 *   the abort's reason; file system errors as they are. The temporary file is removed then.
 */
export async function writeGguf(path: string, content: GgufContent, signal?: AbortSignal): Promise<number> {
  const alignment = content.alignment ?? 32
  if (alignment < 8 || (alignment & (alignment - 1)) !== 0) {
    throw new TokenmillError('invalid_request', `GGUF alignment is ${alignment} bytes; it must be a power of two ≥ 8.`)
  }
  const partialPath = `${path}.partial`
  const file = await open(partialPath, 'w')
  try {
    const writer = new PieceWriter(file, alignment)
    await writer.bytes(encodeHeader(content, alignment))
    await writer.pad()
    for (const tensor of content.tensors) await writeTensor(writer, tensor, signal)
    await writer.flush()
    await file.close()
    await rename(partialPath, path)
    return writer.written
  } catch (error) {
    await file.close()
    await rm(partialPath, { force: true })
    throw error
  }
}

async function writeTensor(writer: PieceWriter, tensor: GgufTensor, signal: AbortSignal | undefined): Promise<void> {
  const [rowValues = 0, ...outer] = tensor.shape
  const expectedRows = outer.reduce((product, length) => product * length, 1)
  const rowBytes = (rowValues / tensor.format.blockValues) * tensor.format.blockBytes
  let count = 0
  for await (const row of tensor.rows()) {
    count += 1
    if (row.length !== rowValues || count > expectedRows) {
      throw new TokenmillError(
        'invalid_request',
        `Tensor '${tensor.name}' of shape [${tensor.shape.join(', ')}] was given row ${count} of ${row.length} values.`,
      )
    }
    const { view, offset } = await writer.reserve(rowBytes, signal)
    tensor.format.encode(row, view, offset)
  }
  if (count !== expectedRows) {
    throw new TokenmillError(
      'invalid_request',
      `Tensor '${tensor.name}' has ${count} rows; its shape [${tensor.shape.join(', ')}] asks for ${expectedRows}.`,
    )
  }
  await writer.pad()
}

/** Collects bytes and writes them to the file a piece at a time. The file belongs to the caller. */
class PieceWriter {
  /** Bytes given so far, whether they have reached the file or not. */
  written = 0
  readonly #file: FileHandle
  readonly #alignment: number
  #buffer = new Uint8Array(pieceBytes)
  #used = 0

  constructor(file: FileHandle, alignment: number) {
    this.#file = file
    this.#alignment = alignment
  }

  async bytes(bytes: Uint8Array): Promise<void> {
    const { view, offset } = await this.reserve(bytes.length)
    new Uint8Array(view.buffer).set(bytes, offset)
  }

  /** Room for `bytes`, to be filled before the next call. A piece too long for the buffer gets a larger one. */
  async reserve(bytes: number, signal?: AbortSignal): Promise<{ view: DataView; offset: number }> {
    if (this.#used + bytes > this.#buffer.length) {
      signal?.throwIfAborted()
      await this.flush()
      if (bytes > this.#buffer.length) this.#buffer = new Uint8Array(bytes)
    }
    const offset = this.#used
    this.#used += bytes
    this.written += bytes
    return { view: new DataView(this.#buffer.buffer), offset }
  }

  async pad(): Promise<void> {
    const missing = align(this.written, this.#alignment) - this.written
    if (missing > 0) await this.bytes(new Uint8Array(missing))
  }

  async flush(): Promise<void> {
    let sent = 0
    while (sent < this.#used) {
      const { bytesWritten } = await this.#file.write(this.#buffer, sent, this.#used - sent)
      sent += bytesWritten
    }
    this.#used = 0
  }
}
