import type { IncomingMessage } from 'node:http'
import { formatBytes, TokenmillError } from '../core/index.ts'

/**
 * The body of a request, in one piece. Throws `limit_exceeded` past `maximum` bytes, before anything is read where the
 * client announces as much; `unsupported` for compressed bodies; `cancelled` when the client leaves before its end.
 */
export function readBody(request: IncomingMessage, maximum: number): Promise<Buffer> {
  requirePlain(request.headers['content-encoding'])
  const announced = request.headers['content-length']
  if (announced !== undefined && Number(announced) > maximum) throw bodyTooLarge(Number(announced), maximum)
  return new Promise((resolve, reject) => {
    let first: Buffer | undefined
    let pieces: Buffer[] | undefined
    let bytes = 0
    request.on('data', (piece: Buffer) => {
      bytes += piece.length
      if (bytes > maximum) {
        request.pause()
        reject(bodyTooLarge(undefined, maximum))
      } else if (first === undefined) first = piece
      else (pieces ??= [first]).push(piece)
    })
    request.once('end', () => resolve(pieces === undefined ? (first ?? empty) : Buffer.concat(pieces, bytes)))
    request.once('close', () => {
      if (!request.complete) reject(new TokenmillError('cancelled', 'The client left before its request was complete.'))
    })
  })
}

const empty = Buffer.alloc(0)

/** Compressed bodies would be read before any limit could hold. */
function requirePlain(encoding: string | undefined): void {
  if (encoding === undefined || encoding === '' || encoding.toLowerCase() === 'identity') return
  const text = `content-encoding is ${JSON.stringify(encoding.slice(0, 40))}; bodies are read as they are. Send it uncompressed.`
  throw new TokenmillError('unsupported', text, { param: 'content-encoding' })
}

function bodyTooLarge(actual: number | undefined, maximum: number): TokenmillError {
  const size = actual === undefined ? 'larger' : formatBytes(actual)
  return new TokenmillError(
    'limit_exceeded',
    `The request body is ${size}; the limit 'maxBodyBytes' is ${formatBytes(maximum)}. Send less, or start the server with --max-body-bytes.`,
    { limit: 'maxBodyBytes', maximum, unit: 'bytes', ...(actual === undefined ? {} : { actual }) },
  )
}
