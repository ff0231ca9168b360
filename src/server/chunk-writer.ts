import type { ServerResponse } from 'node:http'
import type { Writable } from 'node:stream'

/**
 * Writes text of an answer whose head ServerResponse has written. Where the answer is chunked and owns its socket, the chunk goes straight
 * to the socket as one string in one system call; ServerResponse.write makes four buffers of it and a writev, at twice
 * the CPU time, which the engine on the same cores feels in every token. Elsewhere (HTTP/1.0, pipelined answers that
 * wait for their turn) ServerResponse writes. Order is kept: both end in the same socket's queue.
 */
export function writeChunk(raw: ServerResponse, text: string, encoding: 'latin1' | 'utf8' = 'utf8'): void {
  const { socket } = raw
  if (socket === null || !raw.chunkedEncoding) {
    raw.write(text, encoding)
    return
  }
  const bytes = encoding === 'latin1' ? text.length : Buffer.byteLength(text)
  // Plain ASCII needs no encoder.
  socket.write(`${bytes.toString(16)}\r\n${text}\r\n`, bytes === text.length ? 'latin1' : 'utf8')
}

/** The same for bytes: size line, bytes and line end are copied into one buffer, which costs less than three writes. */
export function writeChunkBytes(raw: ServerResponse, bytes: Buffer): void {
  const { socket } = raw
  if (socket === null || !raw.chunkedEncoding || bytes.length > maxCopiedBytes) {
    raw.write(bytes)
    return
  }
  const size = bytes.length.toString(16)
  const chunk = Buffer.allocUnsafe(size.length + bytes.length + 4)
  chunk.write(size, 'latin1')
  chunk[size.length] = carriageReturn
  chunk[size.length + 1] = lineFeed
  bytes.copy(chunk, size.length + 2)
  chunk[chunk.length - 2] = carriageReturn
  chunk[chunk.length - 1] = lineFeed
  socket.write(chunk)
}

/** Beyond this a copy costs more than a second buffer in the write. */
const maxCopiedBytes = 16 * 1024
const carriageReturn = 0x0d
const lineFeed = 0x0a

/** What fills up when the client reads slower than we write: `writableNeedDrain`, then `drain`. */
export function outletOf(raw: ServerResponse): Writable {
  return raw.socket ?? raw
}
