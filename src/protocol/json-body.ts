import { TokenmillError } from '../core/index.ts'
import { Fields } from './fields.ts'

/** The body as the reader of its top-level object. Throws `invalid_request` for what is not UTF-8 JSON or no object. */
export function parseJsonBody(body: Uint8Array): Fields {
  if (body.byteLength === 0) {
    throw new TokenmillError('invalid_request', 'The body is empty; it must be a JSON object.')
  }
  let value: unknown
  try {
    value = JSON.parse(decoder.decode(body))
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    throw new TokenmillError('invalid_request', `The body is not JSON: ${reason.slice(0, 200)}.`, {}, error)
  }
  return Fields.of(value)
}

const decoder = new TextDecoder('utf-8', { fatal: true })
