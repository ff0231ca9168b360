import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import { TokenmillError } from '../core/index.ts'

/**
 * The API keys that open the server. Only keyed hashes are kept, under a key of this process: what leaks from
 * memory or a log opens nothing. Every known hash is compared, in constant time, whichever one fits.
 */
export class ApiKeys {
  readonly #hashKey = randomBytes(32)
  readonly #known: readonly { readonly name: string; readonly hash: Buffer }[]

  constructor(keys: readonly string[]) {
    this.#known = keys.map((key, index) => ({ name: `key-${index + 1}`, hash: this.#hash(key) }))
  }

  /** Without keys everybody may call. */
  get required(): boolean {
    return this.#known.length > 0
  }

  /** The name of the key that a request carries; undefined where none is required. Throws `unauthenticated`. */
  check(headers: { readonly authorization?: string | undefined; readonly 'x-api-key'?: unknown }): string | undefined {
    if (!this.required) return undefined
    const presented = presentedKey(headers)
    if (presented === undefined) {
      throw new TokenmillError(
        'unauthenticated',
        'No API key was sent. Send it as "Authorization: Bearer <key>" or as "x-api-key: <key>".',
      )
    }
    const hash = this.#hash(presented)
    let found: string | undefined
    for (const known of this.#known) if (timingSafeEqual(known.hash, hash)) found = known.name
    if (found !== undefined) return found
    throw new TokenmillError('unauthenticated', 'The API key is not valid here. Check the key that the client sends.')
  }

  #hash(key: string): Buffer {
    return createHmac('sha256', this.#hashKey).update(key).digest()
  }
}

function presentedKey(headers: { readonly authorization?: string | undefined; readonly 'x-api-key'?: unknown }) {
  const bearer = /^Bearer\s+(\S+)\s*$/i.exec(headers.authorization ?? '')?.[1]
  if (bearer !== undefined) return bearer
  const key = headers['x-api-key']
  return typeof key === 'string' && key !== '' ? key : undefined
}
