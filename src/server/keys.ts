import { hash, randomBytes, timingSafeEqual } from 'node:crypto'
import { TokenmillError } from '../core/index.ts'
import { matchesHash } from './key-hash.ts'

/** A key as the configuration file stores it. */
export interface StoredKey {
  readonly name: string
  /** As key-hash.ts writes it. */
  readonly hash: string
}

/**
 * The API keys that open the server. Only keyed hashes are kept, under a key of this process: what leaks from
 * memory or a log opens nothing. Every known hash is compared, in constant time, whichever one fits.
 *
 * Stored keys each have a salt of their own; which one a presented key fits is remembered under the whole key's
 * hash, for as many keys as there are.
 */
export class ApiKeys {
  readonly #hashKey = randomBytes(32).toString('hex')
  readonly #given: readonly { readonly name: string; readonly hash: Buffer }[]
  #stored: readonly StoredKey[]
  /** Keyed hash of a key that fitted → the name that it fitted. */
  #fitted = new Map<string, string>()

  constructor(keys: readonly string[], stored: readonly StoredKey[] = []) {
    this.#given = keys.map((key, index) => ({ name: `key-${index + 1}`, hash: this.#hash(key) }))
    this.#stored = stored
  }

  /** Without keys everybody may call. */
  get required(): boolean {
    return this.#given.length > 0 || this.#stored.length > 0
  }

  /** Other stored keys from now on; what is under way goes on. */
  setStored(stored: readonly StoredKey[]): void {
    this.#stored = stored
    this.#fitted = new Map()
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
    const hashed = this.#hash(presented)
    let found: string | undefined
    for (const known of this.#given) if (timingSafeEqual(known.hash, hashed)) found = known.name
    found ??= this.#findStored(presented, hashed.toString('base64'))
    if (found !== undefined) return found
    throw new TokenmillError('unauthenticated', 'The API key is not valid here. Check the key that the client sends.')
  }

  #findStored(presented: string, fingerprint: string): string | undefined {
    const known = this.#fitted.get(fingerprint)
    if (known !== undefined) return known
    let found: string | undefined
    for (const each of this.#stored) if (matchesHash(presented, each.hash)) found = each.name
    if (found !== undefined) this.#fitted.set(fingerprint, found)
    return found
  }

  /** A hash that only this process can make; it never leaves it. In one call: an HMAC takes 15 µs of setting up. */
  #hash(key: string): Buffer {
    return hash('sha256', this.#hashKey + key, 'buffer')
  }
}

function presentedKey(headers: { readonly authorization?: string | undefined; readonly 'x-api-key'?: unknown }) {
  const bearer = /^Bearer\s+(\S+)\s*$/i.exec(headers.authorization ?? '')?.[1]
  if (bearer !== undefined) return bearer
  const key = headers['x-api-key']
  return typeof key === 'string' && key !== '' ? key : undefined
}
