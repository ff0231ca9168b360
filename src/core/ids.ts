import { randomBytes } from 'node:crypto'

/** A fresh identifier such as `chatcmpl-9f2c…`: the prefix, a hyphen, 24 hexadecimal digits (96 random bits). */
export function createId(prefix: string): string {
  return `${prefix}-${randomBytes(12).toString('hex')}`
}
