import { randomUUID } from 'node:crypto'

/** A fresh identifier such as `chatcmpl-9f2c…`: the prefix, a hyphen, 24 hexadecimal digits (90 random bits of a UUID). */
export function createId(prefix: string): string {
  // Node draws random bits for many UUIDs at once, which makes one cheaper than twelve random bytes.
  const uuid = randomUUID()
  return `${prefix}-${uuid.slice(0, 8)}${uuid.slice(9, 13)}${uuid.slice(14, 18)}${uuid.slice(19, 23)}${uuid.slice(24, 28)}`
}
