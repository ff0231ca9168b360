import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'

/** Shortest key that is taken: 16 characters of chance cannot be guessed, a word can. */
export const minKeyCharacters = 16

/**
 * The form in which a key is stored: `tmk1$salt$digest`, digest = HMAC-SHA-256(salt, key), both in base64url. The salt
 * is the key's own, so equal keys look different; the stored text does not open the server: only what hashes to it does.
 * A slow hash would protect guessable keys; these are chance, and each request pays for the check.
 */
export function hashKey(key: string): string {
  return format(key, randomBytes(16))
}

/** A fresh key: 192 random bits. */
export function createKey(): string {
  return `tm-${randomBytes(24).toString('base64url')}`
}

/** Does the key belong to the stored hash? The time it takes tells nothing about how near it is. */
export function matchesHash(key: string, hash: string): boolean {
  const salt = Buffer.from(hash.split('$')[1] ?? '', 'base64url')
  const expected = Buffer.from(hash)
  const actual = Buffer.from(format(key, salt))
  return expected.length === actual.length && timingSafeEqual(expected, actual)
}

function format(key: string, salt: Buffer): string {
  const digest = createHmac('sha256', salt).update(key).digest('base64url')
  return `tmk1$${salt.toString('base64url')}$${digest}`
}
